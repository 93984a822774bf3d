#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/base/timer.h"
#include "tests/fakes/cri/fake_cri_server.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace farlet::testing {

struct FakeEvent {
  // kExit, kTaskDelete and kOutOfMemory are containerd's, kCreated and kStopped CRI's, the rest
  // both's.
  enum class Kind { kCreated, kStarted, kExit, kTaskDelete, kStopped, kOutOfMemory, kDeleted };
  Kind kind;
  std::string id;
  int32_t exit_code = 0;
};

// Hands each event to every open stream. Thread safe.
class FakeEventHub {
 public:
  using Stream = std::list<std::deque<FakeEvent>>::iterator;

  Stream Open();
  void Close(Stream stream);
  // Waits a little for the next event.
  std::optional<FakeEvent> Next(Stream stream);
  void Publish(const FakeEvent& event);
  int Streams() const;

 private:
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::list<std::deque<FakeEvent>> streams_;
};

// What the RPCs do, without gRPC. Thread safe. `Cancelled` says that the caller does not wait any
// more.
class FakeRuntime {
 public:
  using Cancelled = std::function<bool()>;

  FakeRuntime(FakeCriServer::Options options, FakeEventHub& events)
      : options_(std::move(options)), events_(events), timers_(clock_) {}

  // Waits for `duration`; false when cancelled before.
  static bool Sleep(milliseconds duration, const Cancelled& cancelled);

  Result<std::string> RunSandbox(const cri::SandboxConfig& config, const std::string& handler);
  void StopSandbox(const std::string& id);
  void RemoveSandbox(const std::string& id);
  Result<std::string> CreateContainer(const std::string& sandbox_id,
                                      const cri::ContainerConfig& config);
  Status StartContainer(const std::string& id);
  Status StopContainer(const std::string& id, seconds grace, const Cancelled& cancelled);
  void RemoveContainer(const std::string& id);
  Status ReopenLog(const std::string& id);
  Result<cri::ExecSyncResult> ExecSync(const std::string& id,
                                       const std::vector<std::string>& command);
  Result<std::string> Pull(const std::string& reference,
                           const cri::ImageAuth& auth,
                           const Cancelled& cancelled);

  struct Image {
    std::string reference;
    FakeCriServer::ImageSpec spec;
    bool present = false;
    int pulls = 0;
  };

  // By reference or id.
  std::optional<Image> FindImage(const std::string& name) const;
  std::vector<Image> Images() const;
  void SetImage(const std::string& reference, FakeCriServer::ImageSpec spec, bool present);
  cri::ImageAuth LastAuth() const;

  void SetBehavior(const std::string& name, FakeCriServer::Behavior behavior);
  void SetExec(FakeCriServer::ExecHandler handler);
  void Exit(const std::string& id, int32_t exit_code, const std::string& reason);
  void OutOfMemory(const std::string& id);
  void KillSandbox(const std::string& id);
  void Log(const std::string& id, const std::string& line, const std::string& stream);
  // Its start has failed with this message, as CRI tells it.
  void FailStart(const std::string& id, const std::string& message);
  // Forces a state, for containers that nobody started.
  void SetState(const std::string& id, cri::ContainerState state);

  std::vector<FakeSandbox> Sandboxes() const;
  std::vector<FakeContainer> Containers() const;
  std::optional<FakeSandbox> Sandbox(const std::string& id) const;
  std::optional<FakeContainer> Container(const std::string& id) const;

 private:
  FakeCriServer::Behavior BehaviorOf(const FakeContainer& container) const;  // needs mutex_
  // Announces the exit; shows it after the lag. Needs mutex_.
  void BeginExit(const std::string& id, int32_t exit_code, const std::string& reason);
  void ShowExit(const std::string& id, int32_t exit_code, const std::string& reason);
  static void AppendLog(const FakeContainer& container,
                        const std::string& line,
                        const std::string& stream,
                        WallTime time);

  const FakeCriServer::Options options_;
  FakeEventHub& events_;
  const RealClock clock_;

  mutable std::mutex mutex_;  // guards all below but timers_
  std::condition_variable changed_;
  std::map<std::string, FakeSandbox> sandboxes_;
  std::map<std::string, FakeContainer> containers_;
  std::map<std::string, Image> images_;  // by reference with tag
  std::map<std::string, FakeCriServer::Behavior> behaviors_;
  FakeCriServer::ExecHandler exec_;
  cri::ImageAuth last_auth_;
  int last_number_ = 0;

  TimerService timers_;  // first to go: its callbacks use the rest
};

// "name" or "name:tag" with the tag made explicit.
std::string WithTag(const std::string& reference);

}  // namespace farlet::testing
