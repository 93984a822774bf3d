#include "kube/client/client_core.h"
#include "kube/client/escape.h"
#include "kube/client/make_client.h"
#include "kube/client/rest_call.h"
#include "kube/client/watch_call.h"
#include "runtime/base/json_text.h"

#include <utility>

namespace farlet::kube {
namespace {

constexpr std::string_view kJson = "application/json";

std::string_view ContentType(PatchType type) {
  switch (type) {
    case PatchType::kStrategicMerge:
      return "application/strategic-merge-patch+json";
    case PatchType::kMerge:
      return "application/merge-patch+json";
    case PatchType::kJson:
      return "application/json-patch+json";
  }
  return kJson;
}

class RestWatch final : public WatchStream {
 public:
  explicit RestWatch(std::shared_ptr<WatchCall> call) : call_(std::move(call)) {}

  ~RestWatch() override { call_->Close(); }

 private:
  const std::shared_ptr<WatchCall> call_;
};

class RestClient final : public Client {
 public:
  explicit RestClient(std::shared_ptr<ClientCore> core) : core_(std::move(core)) {}

  ~RestClient() override { core_->Shutdown(); }

  void Get(const std::string& path,
           const Query& query,
           const CallOptions& options,
           Callback<Json> done) override {
    Start({.method = "GET", .path = path, .target = Target(path, query)}, options, std::move(done));
  }

  void Create(const std::string& path,
              const Json& object,
              const CallOptions& options,
              Callback<Json> done) override {
    StartWithBody("POST", path, kJson, JsonText(object), options, std::move(done));
  }

  void Replace(const std::string& path,
               const Json& object,
               const CallOptions& options,
               Callback<Json> done) override {
    StartWithBody("PUT", path, kJson, JsonText(object), options, std::move(done));
  }

  void Patch(const std::string& path,
             PatchType type,
             const Json& patch,
             const CallOptions& options,
             Callback<Json> done) override {
    StartWithBody("PATCH", path, ContentType(type), JsonText(patch), options, std::move(done));
  }

  void Delete(const std::string& path,
              const DeleteOptions& what,
              const CallOptions& options,
              Callback<Json> done) override {
    Json body{{"kind", "DeleteOptions"}, {"apiVersion", "v1"}};
    if (what.grace_period_seconds) {
      body["gracePeriodSeconds"] = *what.grace_period_seconds;
    }
    if (!what.precondition_uid.empty()) {
      body["preconditions"]["uid"] = what.precondition_uid;
    }
    if (!what.precondition_resource_version.empty()) {
      body["preconditions"]["resourceVersion"] = what.precondition_resource_version;
    }
    StartWithBody("DELETE", path, kJson, JsonText(body), options, std::move(done));
  }

  std::unique_ptr<WatchStream> Watch(const std::string& path,
                                     const WatchOptions& options,
                                     WatchHandlers handlers) override {
    auto call = std::make_shared<WatchCall>(core_, path, options, std::move(handlers));
    call->Start();
    return std::make_unique<RestWatch>(std::move(call));
  }

 private:
  void Start(RestRequest request, const CallOptions& options, Callback<Json> done) {
    std::make_shared<RestCall>(core_, std::move(request), options, std::move(done))->Start();
  }

  void StartWithBody(std::string_view method,
                     const std::string& path,
                     std::string_view content_type,
                     std::string body,
                     const CallOptions& options,
                     Callback<Json> done) {
    Start({.method = std::string(method),
           .path = path,
           .target = path,
           .content_type = std::string(content_type),
           .body = std::move(body)},
          options, std::move(done));
  }

  const std::shared_ptr<ClientCore> core_;
};

}  // namespace

Result<std::unique_ptr<Client>> MakeClient(const ClusterAccess& access,
                                           const Clock& clock,
                                           TimerService& timers,
                                           const ClientOptions& options) {
  FARLET_ASSIGN(auto transport, http::MakeTransport(access.server, std::nullopt));
  return std::make_unique<RestClient>(
      std::make_shared<ClientCore>(access, std::move(transport), clock, timers, options));
}

}  // namespace farlet::kube
