#include "tests/fakes/cri/fake_services.h"

#include "tests/fakes/cri/fake_serve.h"

namespace farlet::testing {

std::vector<std::unique_ptr<grpc::Service>> MakeFakeServices(FakeBackend& backend) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(MakeRuntimeService(backend));
  services.push_back(MakeImageService(backend));
  if (backend.options.containerd_events) {
    services.push_back(MakeEventService(backend));
  }
  return services;
}

}  // namespace farlet::testing
