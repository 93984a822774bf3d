#pragma once

#include "provider/pod/admission.h"
#include "provider/pod/controller.h"
#include "provider/pod/service_account_token.h"
#include "runtime/cri/event_source.h"
#include "runtime/cri/grpc_client.h"
#include "runtime/cri/runtime_cache.h"
#include "tests/fakes/apiserver/fake_api_server_client.h"
#include "tests/fakes/apiserver/fake_api_server_core.h"
#include "tests/fakes/cri/fake_cri_server.h"
#include "tests/unit/provider/pod/event_log.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace farlet::testing {

inline constexpr char kNode[] = "node-1";

inline bool Eventually(const std::function<bool()>& condition,
                       std::chrono::milliseconds patience = std::chrono::seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class NoTokens final : public pod::PodTokens {
 public:
  pod::TokenLookup For(std::shared_ptr<const kube::Pod>) override {
    return [](const kube::ServiceAccountTokenProjection&) -> Result<pod::TokenValue> {
      return pod::TokenValue{"token"};
    };
  }

  void Forget(const std::string&) override {}
};

// A node: an API server and a runtime that outlive the agent, and an agent that can be killed and
// started again over them. Real time, short waits.
class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    std::string name = "/tmp/farlet-controller-XXXXXX";
    root_ = ::mkdtemp(name.data());
    runtime_.AddImage("app:1");
    options_.status.soon = milliseconds(50);
    options_.status.backoff = {.initial = milliseconds(20), .max = milliseconds(100)};
    options_.images.first_backoff = seconds(1);
    options_.images.longest_backoff = seconds(2);
    options_.images.show_error = milliseconds(20);
    options_.images.present_for = milliseconds(0);
    options_.crash = {.initial = seconds(1), .max = seconds(2)};
    options_.object_wait = seconds(1);
    options_.gone_check = milliseconds(100);
  }

  ~ControllerTest() override {
    StopAgent();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  struct Agent {
    explicit Agent(ControllerTest& test) : api(test.api_) {
      runtime = std::move(*cri::ConnectGrpcClient(test.runtime_.endpoint()));
      cache = std::make_unique<cri::RuntimeCache>(*runtime, clock, timers);
      net = pod::MakeNetProber("1.37");
      pod::NodeContext node{.node_name = kNode,
                            .host_ip = "192.0.2.1",
                            .root_dir = test.root_ / "root",
                            .pod_logs_dir = test.root_ / "logs",
                            .cluster_dns = {"10.96.0.10"}};
      node.allocatable["cpu"] = *kube::Quantity::Parse("8");
      node.allocatable["memory"] = *kube::Quantity::Parse("8Gi");
      node.capacity = node.allocatable;
      controller = std::make_unique<pod::PodController>(
          pod::PodController::Dependencies{
              .runtime = *runtime,
              .cache = *cache,
              .api = api,
              .recorder = test.events_,
              .clock = clock,
              .timers = timers,
              .net_prober = *net,
              .admission = pod::Admit,
              .ready = test.ready_,
              .make_tokens = [](const auto&) { return std::make_unique<NoTokens>(); },
              .service_env = {},
              .runtime_handler = [&test](const std::string& name) -> Result<std::string> {
                FARLET_TRY(test.runtime_class_);
                return "handler-of-" + name;
              },
              .observer = test.observer_},
          node, test.options_);
      events = std::move(
          *cri::FollowEvents(test.runtime_.endpoint(), clock, timers,
                             [this](const cri::EventNotice& notice) { cache->OnEvent(notice); }));
      cache->Start();
      controller->Start();
    }

    // As a crash does it: nothing is said to anybody.
    ~Agent() {
      controller.reset();
      events.reset();
      cache.reset();
      runtime.reset();
    }

    RealClock clock;
    TimerService timers{clock};
    FakeApiClient api;
    std::unique_ptr<cri::Client> runtime;
    std::unique_ptr<cri::RuntimeCache> cache;
    std::unique_ptr<cri::EventSource> events;
    std::unique_ptr<pod::NetProber> net;
    std::unique_ptr<pod::PodController> controller;
  };

  void StartAgent() { agent_ = std::make_unique<Agent>(*this); }

  void StopAgent() { agent_.reset(); }

  void RestartAgent() {
    StopAgent();
    StartAgent();
  }

  static std::string Path(const std::string& pod) {
    return "/api/v1/namespaces/default/pods/" + pod;
  }

  // A pod of one container "main", bound to the node.
  static Json PodSpec(const std::string& name) {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata", {{"name", name}, {"namespace", "default"}, {"uid", "uid-" + name}}},
            {"spec",
             {{"nodeName", kNode},
              {"restartPolicy", "Always"},
              {"terminationGracePeriodSeconds", 5},
              {"enableServiceLinks", false},
              {"containers",
               {{{"name", "main"}, {"image", "app:1"}, {"imagePullPolicy", "IfNotPresent"}}}}}},
            {"status", {{"phase", "Pending"}}}};
  }

  void Put(const Json& pod) { api_.Put(Path(pod["metadata"]["name"]), pod); }

  void Delete(const std::string& pod, int grace = 5) {
    api_.Serve({.verb = "DELETE",
                .path = Path(pod),
                .query = {},
                .content_type = "application/json",
                .body = {{"gracePeriodSeconds", grace}}});
  }

  bool WaitPod(const std::string& pod, const std::function<bool(const Json&)>& condition) {
    return api_.WaitFor(Path(pod), condition, std::chrono::seconds(20));
  }

  bool WaitPhase(const std::string& pod, const std::string& phase) {
    return WaitPod(pod, [&](const Json& object) {
      return object.is_object() && object["status"].value("phase", "") == phase;
    });
  }

  static bool IsReady(const Json& object) {
    if (!object.is_object() || !object["status"].contains("conditions")) {
      return false;
    }
    for (const Json& condition : object["status"]["conditions"]) {
      if (condition["type"] == "Ready") {
        return condition["status"] == "True";
      }
    }
    return false;
  }

  bool WaitReady(const std::string& pod) { return WaitPod(pod, IsReady) || Complain(pod); }

  // Says what the pod looks like instead.
  bool Complain(const std::string& pod) {
    const auto object = api_.Find(Path(pod));
    ADD_FAILURE() << (object ? object->dump(1) : "no pod") << "\n"
                  << ::testing::PrintToString(events_.Of(pod));
    return false;
  }

  bool WaitWaiting(const std::string& pod, const std::string& reason) {
    return WaitPod(pod, [&](const Json& object) {
      return object.is_object() &&
             object["status"].value(Json::json_pointer("/containerStatuses/0/state/waiting/reason"),
                                    "") == reason;
    });
  }

  bool WaitGone(const std::string& pod) {
    return WaitPod(pod, [](const Json& object) { return object.is_null(); });
  }

  // Nothing of any pod is left in the runtime or on disk.
  bool WaitClean() {
    return Eventually([this] {
      return runtime_.Sandboxes().empty() && runtime_.Containers().empty() &&
             IsEmpty(root_ / "root" / "pods") && IsEmpty(root_ / "logs");
    });
  }

  static bool IsEmpty(const std::filesystem::path& folder) {
    std::error_code error;
    return !std::filesystem::exists(folder) || std::filesystem::is_empty(folder, error);
  }

  std::string ContainerId(const std::string& pod) {
    const auto container = runtime_.FindContainer(pod, "main");
    return container ? container->id : "";
  }

  std::filesystem::path root_;
  FakeCriServer runtime_;
  FakeApiCore api_;
  EventLog events_;
  pod::PodController::Options options_;
  Status runtime_class_;  // an error: no RuntimeClass can be had
  pod::PodObserver* observer_ = nullptr;
  std::function<bool()> ready_;  // null: pods are taken up at once
  std::unique_ptr<Agent> agent_;
};

}  // namespace farlet::testing
