#pragma once

#include "proto/containerd/events/task/forward.pb.h"
#include "proto/containerd/events/task/task.pb.h"
#include "proto/containerd/task/v2/task.pb.h"
#include "runtime/base/clock.h"
#include "runtime/shim/machine.h"
#include "runtime/shim/task/task_service.h"
#include "runtime/ttrpc/client.h"
#include "tests/fakes/guest/fake_guest.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace farlet::shim {

// A pod's machine that is only a fake guest.
class FakeMachine final : public Machine {
 public:
  FakeMachine();

  Result<BootedMachine> Boot() override;

  std::string Stage() const override { return "it boots"; }

  std::chrono::nanoseconds WaitedForCpu() const override { return {}; }

  Result<std::vector<guest::v1::Layer>> PlaceRootfs(
      const std::vector<RootfsMount>& mounts) override;
  Result<std::string> Share(const SharedPath& path) override;
  void Unshare(const SharedPath& path) override;

  Status ForwardLoopback(ConnectionHandler /*handler*/) override { return {}; }

  Status Pause() override { return {}; }

  Status Resume() override { return {}; }

  std::string ExitReason() const override { return killed_ ? "killed by signal 9" : "running"; }

  Status Kill() override;

  void Release() override;

  // As if the file server had died.
  void EndFileServer();

  testing::FakeGuest guest;
  std::optional<Error> boot_error;
  std::promise<void> released;
  std::multiset<std::string> Shared();

 private:
  UniqueFd exit_;
  UniqueFd files_exit_;
  std::once_flag once_;
  std::atomic<bool> killed_ = false;
  std::mutex mutex_;  // guards what follows
  std::multiset<std::string> shared_;
};

// What containerd's event service was told, on a real socket.
class FakeEvents {
 public:
  explicit FakeEvents(const std::filesystem::path& socket);
  ~FakeEvents();

  // Waits until there are `count`; as "exit c1 137" or "exec-added c1 e1".
  std::vector<std::string> Wait(size_t count);
  std::vector<std::string> Now();

 private:
  void Note(const containerd::services::events::ttrpc::v1::Envelope& envelope);

  boost::asio::io_context io_;
  ttrpc::Server server_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<std::string> events_;
  std::thread thread_;
};

// A whole task service: containerd's client on one side, a fake guest on the other.
class ShimFixture : public ::testing::Test {
 protected:
  ShimFixture();
  ~ShimFixture() override;

  void Boot();

  // Makes a bundle with an OCI spec in it. `kind` is "sandbox", "container" or "" for none of a
  // pod.
  std::filesystem::path Bundle(const std::string& id,
                               const std::string& kind,
                               const std::vector<std::string>& args = {"sleep"},
                               const std::string& mounts = "[]");
  std::string Fifo(const std::string& name);

  template <class Rep, class Req>
  Result<Rep> Call(const std::string& method, const Req& request) {
    return client_->CallAndWait<Req, Rep>("containerd.task.v2.Task", method, request,
                                          std::chrono::seconds(20));
  }

  Result<containerd::task::v2::CreateTaskResponse> Create(const std::string& id,
                                                          const std::filesystem::path& bundle,
                                                          const StdioNames& stdio = {});
  Status CreateSandbox();
  Result<containerd::task::v2::StartResponse> Start(const std::string& id,
                                                    const std::string& exec = "");
  Result<containerd::task::v2::DeleteResponse> Delete(const std::string& id,
                                                      const std::string& exec = "");
  Status Exec(const std::string& id,
              const std::string& exec,
              const std::string& args_json,
              const StdioNames& stdio = {});
  Status Kill(const std::string& id, uint32_t signal, const std::string& exec = "");
  Result<containerd::task::v2::StateResponse> State(const std::string& id,
                                                    const std::string& exec = "");
  // The exit status; waits for it.
  Result<uint32_t> Wait(const std::string& id, const std::string& exec = "");

  std::filesystem::path folder_;
  std::shared_ptr<FakeMachine> machine_;
  std::unique_ptr<FakeEvents> events_;
  std::atomic<int> shutdowns_ = 0;
  std::shared_ptr<ttrpc::Client> client_;
  std::shared_ptr<Pod> pod_;

 private:
  bool IsPodGone();

  RealClock clock_;
  RealHostFacts facts_;
  boost::asio::io_context io_;
  boost::asio::io_context client_io_;
  boost::asio::thread_pool pool_;
  std::unique_ptr<ttrpc::Server> server_;
  std::shared_ptr<EventPublisher> publisher_;
  std::shared_ptr<TaskService> service_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> client_work_;
  std::thread thread_;
  std::thread client_thread_;
};

}  // namespace farlet::shim
