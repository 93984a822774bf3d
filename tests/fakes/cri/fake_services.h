#pragma once

#include "runtime/base/result.h"
#include "tests/fakes/cri/fake_runtime.h"

#include <grpcpp/impl/codegen/service_type.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::testing {

// What the services share with the fake's front.
struct FakeBackend {
  explicit FakeBackend(FakeCriServer::Options chosen)
      : options(std::move(chosen)), runtime(options, events) {}

  FakeCriServer::Options options;
  FakeEventHub events;
  FakeRuntime runtime;
  // Counts the call and acts out its faults around `effect`.
  std::function<Status(const std::string& rpc,
                       const std::string& subject,
                       const FakeRuntime::Cancelled& cancelled,
                       const std::function<Status()>& effect)>
      serve;
  std::function<bool()> stopping;

  mutable std::mutex mutex;  // guards all below and options.cri_events
  std::vector<cri::RuntimeCondition> conditions;
  std::string pod_cidr;
  std::string stream_url = "http://127.0.0.1:1/stream";
  cri::StreamOptions last_stream;
  // Containers whose task CRI does not know of, and which of them still run.
  std::map<std::string, bool> lost_tasks;

  // What removing the container answers as long as its lost task is there.
  Status CheckNoTask(const std::string& container_id) const;
};

// The gRPC services of one server: runtime, image, containerd's tasks and, if wanted, its events.
std::vector<std::unique_ptr<grpc::Service>> MakeFakeServices(FakeBackend& backend);

}  // namespace farlet::testing
