#include "tests/fakes/cri/fake_services.h"

#include "tests/fakes/cri/fake_serve.h"

#include <fmt/format.h>

namespace farlet::testing {

Status FakeBackend::CheckNoTask(const std::string& container_id) const {
  const std::lock_guard lock(mutex);
  if (lost_tasks.contains(container_id)) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("failed to delete containerd container \"{0}\": cannot delete "
                                 "running task {0}: failed precondition",
                                 container_id));
  }
  return {};
}

std::vector<std::unique_ptr<grpc::Service>> MakeFakeServices(FakeBackend& backend) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(MakeRuntimeService(backend));
  services.push_back(MakeImageService(backend));
  services.push_back(MakeTaskService(backend));
  if (backend.options.containerd_events) {
    services.push_back(MakeEventService(backend));
  }
  return services;
}

}  // namespace farlet::testing
