// The cache under many threads, over a runtime in this process: without gRPC in between, the thread
// sanitizer sees all.

#include "runtime/base/work_queue.h"
#include "runtime/cri/runtime_cache.h"
#include "tests/unit/runtime/cri/cri_test_support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace farlet::cri {
namespace {

constexpr int kPods = 8;

// Answers from threads of its own, in any order. One sandbox "s<n>" and one container "c<n>" a pod.
class ThreadedClient final : public Client {
 public:
  ThreadedClient() {
    for (int pod = 0; pod < kPods; ++pod) {
      states_[std::to_string(pod)] = ContainerState::kRunning;
    }
    queue_.Start(3, [this](const std::string& key) {
      std::function<void()> answer;
      {
        const std::lock_guard lock(mutex_);
        answer = std::move(answers_.at(key));
        answers_.erase(key);
      }
      answer();
    });
  }

  void Exit(const std::string& pod) {
    const std::lock_guard lock(mutex_);
    states_[pod] = ContainerState::kExited;
  }

  static Sandbox MakeSandbox(const std::string& pod) {
    return {.id = {"s" + pod},
            .state = SandboxState::kReady,
            .labels = {{labels::kPodUid, "uid-" + pod}}};
  }

  cri::ContainerStatus StatusOf(const std::string& pod) {
    const std::lock_guard lock(mutex_);
    return {.id = {"c" + pod},
            .metadata = {.name = "main"},
            .state = states_.at(pod),
            .labels = {{labels::kPodUid, "uid-" + pod}}};
  }

  void ListPodSandbox(const StringMap& filter, Callback<std::vector<Sandbox>> done) override {
    Answer([filter, done = std::move(done)] {
      std::vector<Sandbox> sandboxes;
      for (int pod = 0; pod < kPods; ++pod) {
        sandboxes.push_back(MakeSandbox(std::to_string(pod)));
      }
      std::erase_if(sandboxes, [&](const Sandbox& sandbox) {
        return !filter.empty() && sandbox.labels != filter;
      });
      done(std::move(sandboxes));
    });
  }

  void ListContainers(const StringMap& filter, Callback<std::vector<Container>> done) override {
    Answer([this, filter, done = std::move(done)] {
      std::vector<Container> containers;
      for (int pod = 0; pod < kPods; ++pod) {
        const cri::ContainerStatus status = StatusOf(std::to_string(pod));
        if (filter.empty() || status.labels == filter) {
          containers.push_back({.id = status.id,
                                .sandbox_id = {"s" + std::to_string(pod)},
                                .metadata = status.metadata,
                                .state = status.state,
                                .labels = status.labels});
        }
      }
      done(std::move(containers));
    });
  }

  void PodSandboxStatus(const SandboxId& id, Callback<SandboxStatus> done) override {
    Answer([pod = id.value.substr(1), done = std::move(done)] {
      done(SandboxStatus{.sandbox = MakeSandbox(pod), .ips = {"10.0.0.1"}});
    });
  }

  void ContainerStatus(const ContainerId& id, Callback<cri::ContainerStatus> done) override {
    Answer([this, pod = id.value.substr(1), done = std::move(done)] { done(StatusOf(pod)); });
  }

  void Version(Callback<RuntimeVersion> done) override { Refuse(done); }

  void Status(Callback<RuntimeStatus> done) override { Refuse(done); }

  void CgroupDriver(Callback<std::string> done) override { Refuse(done); }

  void UpdatePodCidr(const std::string& /*cidr*/, StatusCallback done) override { Refuse(done); }

  void RunPodSandbox(const SandboxConfig& /*config*/,
                     const std::string& /*handler*/,
                     Callback<SandboxId> done) override {
    Refuse(done);
  }

  void StopPodSandbox(const SandboxId& /*id*/, StatusCallback done) override { Refuse(done); }

  void RemovePodSandbox(const SandboxId& /*id*/, StatusCallback done) override { Refuse(done); }

  void CreateContainer(const SandboxId& /*sandbox*/,
                       const ContainerConfig& /*config*/,
                       const SandboxConfig& /*sandbox_config*/,
                       Callback<ContainerId> done) override {
    Refuse(done);
  }

  void StartContainer(const ContainerId& /*id*/, StatusCallback done) override { Refuse(done); }

  void StopContainer(const ContainerId& /*id*/, seconds /*grace*/, StatusCallback done) override {
    Refuse(done);
  }

  void RemoveContainer(const ContainerId& /*id*/, StatusCallback done) override { Refuse(done); }

  void ReopenContainerLog(const ContainerId& /*id*/, StatusCallback done) override { Refuse(done); }

  void ExecSync(const ContainerId& /*id*/,
                const std::vector<std::string>& /*command*/,
                seconds /*timeout*/,
                Callback<ExecSyncResult> done) override {
    Refuse(done);
  }

  void Exec(const StreamOptions& /*options*/, Callback<std::string> done) override { Refuse(done); }

  void Attach(const StreamOptions& /*options*/, Callback<std::string> done) override {
    Refuse(done);
  }

  void PortForward(const SandboxId& /*id*/,
                   const std::vector<int32_t>& /*ports*/,
                   Callback<std::string> done) override {
    Refuse(done);
  }

  void ImageStatus(const std::string& /*image*/,
                   Callback<std::shared_ptr<const Image>> done) override {
    Refuse(done);
  }

  void PullImage(const std::string& /*image*/,
                 const ImageAuth& /*auth*/,
                 const SandboxConfig* /*sandbox_config*/,
                 Callback<std::string> done) override {
    Refuse(done);
  }

  void ListImages(Callback<std::vector<Image>> done) override { Refuse(done); }

  void ImageFsInfo(Callback<std::vector<FilesystemUsage>> done) override { Refuse(done); }

 private:
  template <class Done>
  static void Refuse(const Done& done) {
    done(MakeError(Code::kUnimplemented, "not in this test"));
  }

  void Answer(std::function<void()> answer) {
    std::string key;
    {
      const std::lock_guard lock(mutex_);
      key = std::to_string(++last_key_);
      answers_[key] = std::move(answer);
    }
    queue_.Add(key);
  }

  const RealClock clock_;
  std::mutex mutex_;  // guards all below but queue_
  std::map<std::string, ContainerState> states_;
  std::map<std::string, std::function<void()>> answers_;
  int last_key_ = 0;
  WorkQueue queue_{clock_};  // first to go: its threads use the rest
};

TEST(RuntimeCacheThreadsTest, AgreesWithTheRuntimeWhateverHappensAtOnce) {
  const RealClock clock;
  ThreadedClient client;
  TimerService timers(clock);
  RuntimeCache cache(client, clock, timers,
                     {.relist_with_events = milliseconds(3),
                      .relist_without_events = milliseconds(1),
                      .first_recheck = milliseconds(1)});
  std::atomic<int> told{0};
  std::atomic<int> refreshed{0};
  cache.SetListener([&](const std::string& uid) {
    ++told;
    cache.Get(uid);
  });
  cache.Start();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 50; ++round) {
        const std::string pod = std::to_string((thread + round) % kPods);
        cache.Refresh("uid-" + pod, [&](const auto&) { ++refreshed; });
        cache.NoteContainer("uid-" + pod, {"s" + pod}, client.StatusOf(pod));
        if (round == 25 && thread < 2) {
          client.Exit(pod);
        }
        cache.OnEvent(RuntimeEvent{.kind = RuntimeEvent::Kind::kStopped, .id = "c" + pod});
        if (round % 10 == thread) {
          cache.OnEvent(EventsLost{.reason = "test"});
          cache.OnEvent(EventsResumed{});
        }
        cache.All();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_TRUE(Eventually([&] {
    if (refreshed < 200 || cache.All().size() != kPods) {
      return false;
    }
    for (int pod = 0; pod < kPods; ++pod) {
      const PodRuntimePtr known = cache.Get("uid-" + std::to_string(pod));
      if (known->containers.front().status.state != client.StatusOf(std::to_string(pod)).state) {
        return false;
      }
    }
    return true;
  }));
  EXPECT_GE(told, kPods);
}

TEST(RuntimeCacheThreadsTest, CanGoAwayInTheMiddleOfEverything) {
  const RealClock clock;
  ThreadedClient client;
  TimerService timers(clock);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> ended{0};
    {
      RuntimeCache cache(client, clock, timers,
                         {.relist_with_events = milliseconds(1),
                          .relist_without_events = milliseconds(1),
                          .first_recheck = milliseconds(1)});
      cache.Start();
      for (int pod = 0; pod < kPods; ++pod) {
        cache.Refresh("uid-" + std::to_string(pod), [&](const auto&) { ++ended; });
        cache.NoteContainer("uid-" + std::to_string(pod), {"s" + std::to_string(pod)},
                            client.StatusOf(std::to_string(pod)));
        cache.OnEvent(
            RuntimeEvent{.kind = RuntimeEvent::Kind::kStopped, .id = "c" + std::to_string(pod)});
      }
      cache.Relist([&](const auto&) { ++ended; });
    }
    EXPECT_EQ(ended, kPods + 1);
  }
}

}  // namespace
}  // namespace farlet::cri
