#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/grpc_client.h"
#include "tests/fakes/cri/fake_cri_server.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace farlet::cri {

inline constexpr std::chrono::seconds kPatience{30};

// Waits until `condition` holds; false after kPatience.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Runs an asynchronous call to its end: Await<SandboxId>([&](auto done) { client.…(…, done); }).
template <class Value, class Call>
Result<Value> Await(Call call) {
  const auto promise = std::make_shared<std::promise<Result<Value>>>();
  auto future = promise->get_future();
  call([promise](Result<Value> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(kPatience) != std::future_status::ready) {
    ADD_FAILURE() << "no answer";
    return Internal("no answer");
  }
  return future.get();
}

inline SandboxConfig PodConfig(const std::string& name, uint32_t attempt = 0) {
  return {.metadata = {.name = name,
                       .pod_namespace = "default",
                       .uid = "uid-" + name,
                       .attempt = attempt},
          .labels = {{labels::kPodName, name},
                     {labels::kPodNamespace, "default"},
                     {labels::kPodUid, "uid-" + name},
                     {labels::kOwner, "node-1"}}};
}

inline ContainerConfig MainConfig(const std::string& pod, uint32_t attempt = 0) {
  return {.metadata = {.name = "main", .attempt = attempt},
          .image = "app:1",
          .labels = {{labels::kContainerName, "main"}, {labels::kPodUid, "uid-" + pod}}};
}

// A fake runtime with image app:1 and a client of it.
class CriTest : public ::testing::Test {
 protected:
  explicit CriTest(testing::FakeCriServer::Options options = {}) : runtime_(std::move(options)) {
    runtime_.AddImage("app:1");
    client_ = std::move(*ConnectGrpcClient(runtime_.endpoint()));
  }

  SandboxId RunSandbox(const SandboxConfig& config) {
    return Await<SandboxId>(
               [&](auto done) { client_->RunPodSandbox(config, "runc", std::move(done)); })
        .value();
  }

  ContainerId Create(const SandboxId& sandbox,
                     const ContainerConfig& config,
                     const SandboxConfig& sandbox_config) {
    return Await<ContainerId>([&](auto done) {
             client_->CreateContainer(sandbox, config, sandbox_config, std::move(done));
           })
        .value();
  }

  farlet::Status Start(const ContainerId& id) {
    return Await<void>([&](auto done) { client_->StartContainer(id, std::move(done)); });
  }

  ContainerStatus ReadContainer(const ContainerId& id) {
    return Await<ContainerStatus>([&](auto done) { client_->ContainerStatus(id, std::move(done)); })
        .value();
  }

  // A sandbox with one running container "main"; the container's id.
  ContainerId RunPod(const std::string& name) {
    const SandboxConfig config = PodConfig(name);
    const ContainerId id = Create(RunSandbox(config), MainConfig(name), config);
    EXPECT_TRUE(Start(id));
    return id;
  }

  testing::FakeCriServer runtime_;
  std::unique_ptr<Client> client_;
};

}  // namespace farlet::cri
