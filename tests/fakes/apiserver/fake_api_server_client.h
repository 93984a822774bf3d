#pragma once

#include "kube/client/client.h"
#include "tests/fakes/apiserver/fake_api_server_core.h"

#include <memory>

namespace farlet::testing {

// kube::Client without a network: calls go straight to a FakeApiCore, callbacks come from one
// thread. For tests of what stands on the client; the core outlives it. Retries nothing.
class FakeApiClient final : public kube::Client {
 public:
  explicit FakeApiClient(FakeApiCore& core);
  ~FakeApiClient() override;

  void Get(const std::string& path,
           const kube::Query& query,
           const kube::CallOptions& options,
           Callback<Json> done) override;
  void Create(const std::string& path,
              const Json& object,
              const kube::CallOptions& options,
              Callback<Json> done) override;
  void Replace(const std::string& path,
               const Json& object,
               const kube::CallOptions& options,
               Callback<Json> done) override;
  void Patch(const std::string& path,
             kube::PatchType type,
             const Json& patch,
             const kube::CallOptions& options,
             Callback<Json> done) override;
  void Delete(const std::string& path,
              const kube::DeleteOptions& what,
              const kube::CallOptions& options,
              Callback<Json> done) override;
  std::unique_ptr<kube::WatchStream> Watch(const std::string& path,
                                           const kube::WatchOptions& options,
                                           kube::WatchHandlers handlers) override;

  // Ends the running watches as a lost connection does.
  void BreakWatches();
  // While held, requests take effect but no callback comes.
  void Hold(bool held);

 private:
  class Dispatcher;
  class Stream;
  void Call(ApiCall call, Callback<Json> done);

  FakeApiCore& core_;
  std::shared_ptr<Dispatcher> dispatcher_;
};

}  // namespace farlet::testing
