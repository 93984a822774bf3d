#include "runtime/cri/runtime_cache.h"

#include "tests/unit/runtime/cri/cri_test_support.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace farlet::cri {
namespace {

using testing::FakeCriServer;
using Kind = RuntimeEvent::Kind;

// No relist comes in between: what is seen is seen by events, notes or Refresh().
constexpr RuntimeCache::Options kNoRelist{.relist_with_events = std::chrono::hours(1),
                                          .relist_without_events = std::chrono::hours(1)};

class RuntimeCacheTest : public CriTest {
 protected:
  explicit RuntimeCacheTest(FakeCriServer::Options options = {}) : CriTest(std::move(options)) {}

  ~RuntimeCacheTest() override {
    source_.reset();
    cache_.reset();
  }

  void Begin(RuntimeCache::Options options = kNoRelist) {
    cache_ = std::make_unique<RuntimeCache>(*client_, clock_, timers_, options);
    cache_->SetListener([this](const std::string& uid) {
      const std::lock_guard lock(mutex_);
      told_.push_back(uid);
    });
    cache_->Start();
    ASSERT_TRUE(Eventually([&] { return cache_->Synced(); }));
  }

  void Follow() {
    source_ = std::move(
        *FollowEvents(runtime_.endpoint(), clock_, timers_, [this](const EventNotice& notice) {
          cache_->OnEvent(notice);
          if (std::holds_alternative<EventsResumed>(notice)) {
            resumed_ = true;
          }
        }));
    ASSERT_TRUE(Eventually([&] { return resumed_.load(); }));
  }

  Result<PodRuntimePtr> Refresh(const std::string& uid) {
    return Await<PodRuntimePtr>([&](auto done) { cache_->Refresh(uid, std::move(done)); });
  }

  bool Shows(const std::string& uid, ContainerState state) {
    const PodRuntimePtr pod = cache_->Get(uid);
    return pod && !pod->containers.empty() && pod->containers.front().status.state == state;
  }

  int Told() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(told_.size());
  }

  RealClock clock_;
  TimerService timers_{clock_};
  std::unique_ptr<RuntimeCache> cache_;
  std::unique_ptr<EventSource> source_;
  std::atomic<bool> resumed_{false};
  mutable std::mutex mutex_;  // guards told_
  std::vector<std::string> told_;
};

TEST_F(RuntimeCacheTest, AdoptsWhatIsThere) {
  const ContainerId id = RunPod("web");
  SandboxConfig foreign = PodConfig("foreign");
  foreign.labels.erase(labels::kOwner);
  RunSandbox(foreign);
  SandboxConfig unlabelled = PodConfig("unlabelled");
  unlabelled.labels.clear();
  RunSandbox(unlabelled);
  Begin();
  const PodRuntimePtr pod = cache_->Get("uid-web");
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->FindContainer("main")->status, ReadContainer(id));
  ASSERT_NE(pod->CurrentSandbox(), nullptr);
  EXPECT_EQ(pod->CurrentSandbox()->ips.size(), 1U);
  EXPECT_EQ(pod->Label(labels::kOwner), "node-1");
  ASSERT_NE(cache_->Get("uid-foreign"), nullptr);
  EXPECT_EQ(cache_->Get("uid-foreign")->Label(labels::kOwner), "");
  EXPECT_EQ(cache_->Get("uid-unlabelled"), nullptr);
  EXPECT_EQ(cache_->All().size(), 2U);
  EXPECT_EQ(Told(), 2);
}

TEST_F(RuntimeCacheTest, AnUnchangedRelistReadsNothing) {
  RunPod("web");
  Begin();
  runtime_.ResetCalls();
  EXPECT_TRUE(Await<void>([&](auto done) { cache_->Relist(std::move(done)); }));
  EXPECT_EQ(runtime_.TotalCalls(), 2);
  EXPECT_EQ(Told(), 1);
}

TEST_F(RuntimeCacheTest, ARelistFindsWhatChanged) {
  const ContainerId web = RunPod("web");
  RunPod("other");
  Begin();
  runtime_.Exit(web.value, 4);
  runtime_.ResetCalls();
  EXPECT_TRUE(Await<void>([&](auto done) { cache_->Relist(std::move(done)); }));
  EXPECT_TRUE(Shows("uid-web", ContainerState::kExited));
  EXPECT_TRUE(Shows("uid-other", ContainerState::kRunning));
  EXPECT_EQ(runtime_.Calls("ContainerStatus"), 1);
}

TEST_F(RuntimeCacheTest, ARelistForgetsWhatIsGone) {
  RunPod("web");
  Begin();
  const std::string sandbox = runtime_.FindSandbox("web")->id;
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemovePodSandbox({sandbox}, std::move(done)); }));
  EXPECT_TRUE(Await<void>([&](auto done) { cache_->Relist(std::move(done)); }));
  EXPECT_EQ(cache_->Get("uid-web"), nullptr);
}

TEST_F(RuntimeCacheTest, RefreshReadsOnePod) {
  Begin();
  RunPod("web");
  EXPECT_EQ(cache_->Get("uid-web"), nullptr);
  const auto pod = Refresh("uid-web");
  ASSERT_TRUE(pod && *pod);
  EXPECT_EQ((*pod)->containers.size(), 1U);
  EXPECT_EQ(*Refresh("uid-none"), nullptr);
}

TEST_F(RuntimeCacheTest, RefreshDoesNotReadFinishedContainersAgain) {
  const ContainerId id = RunPod("web");
  runtime_.Exit(id.value, 0);
  Begin();
  runtime_.ResetCalls();
  ASSERT_TRUE(Refresh("uid-web"));
  EXPECT_EQ(runtime_.Calls("ContainerStatus"), 0);
  EXPECT_EQ(runtime_.TotalCalls(), 2);
}

TEST_F(RuntimeCacheTest, ARefreshAskedForWhileOneRunsReadsAgain) {
  const ContainerId id = RunPod("web");
  Begin();
  runtime_.ResetCalls();
  runtime_.Inject(
      {.rpc = "ContainerStatus", .when = FakeCriServer::Fault::When::kAfter, .hold = true});
  std::atomic<int> first{0};
  cache_->Refresh("uid-web", [&](const auto& pod) { first += pod ? 1 : 100; });
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("ContainerStatus") == 1; }));
  runtime_.Exit(id.value, 9);
  std::atomic<int> later{0};
  for (int i = 0; i < 3; ++i) {
    cache_->Refresh("uid-web", [&](const Result<PodRuntimePtr>& pod) {
      later += pod && (*pod)->containers.front().status.exit_code == 9 ? 1 : 100;
    });
  }
  runtime_.Release("ContainerStatus");
  EXPECT_TRUE(Eventually([&] { return first == 1 && later == 3; }));
  EXPECT_EQ(runtime_.Calls("ListContainers"), 2);  // the three shared one
}

TEST_F(RuntimeCacheTest, AFailedRefreshKeepsWhatIsKnown) {
  RunPod("web");
  Begin();
  runtime_.Inject({.rpc = "ContainerStatus", .error = MakeError(Code::kUnknown, "busy")});
  const auto pod = Refresh("uid-web");
  ASSERT_FALSE(pod);
  EXPECT_EQ(pod.error().message, "read container status: busy");
  EXPECT_TRUE(Shows("uid-web", ContainerState::kRunning));
  EXPECT_TRUE(Refresh("uid-web"));
}

TEST_F(RuntimeCacheTest, AContainerThatVanishesWhileReadIsLeftOut) {
  RunPod("web");
  Begin();
  runtime_.Inject({.rpc = "ContainerStatus", .error = NotFound("gone")});
  const auto pod = Refresh("uid-web");
  ASSERT_TRUE(pod && *pod);
  EXPECT_TRUE((*pod)->containers.empty());
}

TEST_F(RuntimeCacheTest, NotesNeedNoRoundTrip) {
  Begin();
  const ContainerId id = RunPod("web");
  const ContainerStatus status = ReadContainer(id);
  const SandboxId sandbox{runtime_.FindSandbox("web")->id};
  runtime_.ResetCalls();
  cache_->NoteContainer("uid-web", sandbox, status);
  EXPECT_TRUE(Shows("uid-web", ContainerState::kRunning));
  EXPECT_EQ(Told(), 1);
  cache_->NoteContainer("uid-web", sandbox, status);
  EXPECT_EQ(Told(), 1);
  cache_->NoteRemoved(id);
  EXPECT_EQ(cache_->Get("uid-web"), nullptr);
  EXPECT_EQ(Told(), 2);
  EXPECT_EQ(runtime_.TotalCalls(), 0);
}

TEST_F(RuntimeCacheTest, ANoteMadeWhileAReadRunsSurvivesIt) {
  const SandboxConfig config = PodConfig("web");
  const SandboxId sandbox = RunSandbox(config);
  Begin();
  runtime_.Inject(
      {.rpc = "ListContainers", .when = FakeCriServer::Fault::When::kAfter, .hold = true});
  std::atomic<bool> read{false};
  cache_->Refresh("uid-web", [&](const auto&) { read = true; });
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("ListContainers") == 1; }));
  const ContainerId id = Create(sandbox, MainConfig("web"), config);
  cache_->NoteContainer("uid-web", sandbox, ReadContainer(id));
  runtime_.Release("ListContainers");
  ASSERT_TRUE(Eventually([&] { return read.load(); }));
  EXPECT_TRUE(Shows("uid-web", ContainerState::kCreated));
}

TEST_F(RuntimeCacheTest, EndsPendingCallbacksWhenDestroyed) {
  Begin();
  runtime_.Inject({.rpc = "ListContainers", .hold = true, .times = -1});
  std::atomic<int> cancelled{0};
  const auto count = [&](const auto& result) {
    cancelled += !result && result.error().code == Code::kCancelled ? 1 : 100;
  };
  cache_->Refresh("uid-a", count);
  cache_->Refresh("uid-a", count);
  cache_->Relist(count);
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("ListContainers") == 2; }));
  cache_.reset();
  EXPECT_EQ(cancelled, 3);
}

TEST_F(RuntimeCacheTest, RelistsOftenWhileThereAreNoEvents) {
  RuntimeCache::Options options = kNoRelist;
  options.relist_without_events = milliseconds(20);
  const ContainerId id = RunPod("web");
  Begin(options);
  runtime_.Exit(id.value, 1);
  EXPECT_TRUE(Eventually([&] { return Shows("uid-web", ContainerState::kExited); }));
  cache_->OnEvent(EventsResumed{});
  ASSERT_TRUE(Await<void>([&](auto done) { cache_->Relist(std::move(done)); }));
  const int calls = runtime_.Calls("ListContainers");
  std::this_thread::sleep_for(milliseconds(100));  // five of the intervals that do not apply now
  EXPECT_LE(runtime_.Calls("ListContainers"), calls + 1);
  cache_->OnEvent(EventsLost{.reason = "test"});
  EXPECT_TRUE(Eventually([&] { return runtime_.Calls("ListContainers") > calls + 3; }));
}

TEST_F(RuntimeCacheTest, ComesBackAfterARestartOfTheRuntime) {
  RuntimeCache::Options options = kNoRelist;
  options.relist_without_events = milliseconds(20);
  const ContainerId id = RunPod("web");
  Begin(options);
  runtime_.Stop();
  EXPECT_FALSE(Refresh("uid-web"));
  EXPECT_TRUE(Shows("uid-web", ContainerState::kRunning));
  runtime_.Exit(id.value, 1);
  runtime_.Start();
  EXPECT_TRUE(Eventually([&] { return Shows("uid-web", ContainerState::kExited); }));
}

TEST_F(RuntimeCacheTest, AnOutOfMemoryKillChangesTheReasonOfAnExit) {
  const ContainerId id = RunPod("web");
  runtime_.Exit(id.value, 137, "OOMKilled");
  Begin();
  // As if it had been read just before the runtime learnt of the reason.
  const PodContainer known = cache_->Get("uid-web")->containers.front();
  ContainerStatus early = known.status;
  early.reason = "Error";
  cache_->NoteContainer("uid-web", known.sandbox, early);
  EXPECT_EQ(cache_->Get("uid-web")->containers.front().status.reason, "Error");
  cache_->OnEvent(RuntimeEvent{.kind = Kind::kOutOfMemory, .id = id.value});
  EXPECT_TRUE(Eventually(
      [&] { return cache_->Get("uid-web")->containers.front().status.reason == "OOMKilled"; }));
}

TEST_F(RuntimeCacheTest, AnExitAnnouncedBeforeTheContainerWasNotedIsNotLost) {
  Begin();
  const ContainerId id = RunPod("web");
  const ContainerStatus running = ReadContainer(id);
  runtime_.Exit(id.value, 5);
  cache_->OnEvent(RuntimeEvent{.kind = Kind::kStopped, .id = id.value});
  cache_->NoteContainer("uid-web", {runtime_.FindSandbox("web")->id}, running);
  EXPECT_TRUE(Eventually([&] { return Shows("uid-web", ContainerState::kExited); }));
}

TEST_F(RuntimeCacheTest, EventsOfUnknownThingsCostNothing) {
  Begin();
  runtime_.ResetCalls();
  for (int i = 0; i < 10'000; ++i) {
    cache_->OnEvent(RuntimeEvent{.kind = Kind::kStopped, .id = std::to_string(i)});
  }
  EXPECT_EQ(runtime_.TotalCalls(), 0);
}

// Both sources of events, and a runtime that shows an exit later than it announces it.
struct EventCase {
  bool cri_events;
  milliseconds lag;
};

class RuntimeCacheEventsTest : public RuntimeCacheTest,
                               public ::testing::WithParamInterface<EventCase> {
 protected:
  RuntimeCacheEventsTest()
      : RuntimeCacheTest({.cri_events = GetParam().cri_events, .exit_lag = GetParam().lag}) {}
};

// Without any relist; how fast is a matter of the integration test.
TEST_P(RuntimeCacheEventsTest, ShowsAnExit) {
  const ContainerId id = RunPod("web");
  Begin();
  Follow();
  runtime_.Exit(id.value, 3);
  ASSERT_TRUE(Eventually([&] { return Shows("uid-web", ContainerState::kExited); }));
  EXPECT_EQ(cache_->Get("uid-web")->containers.front().status.exit_code, 3);
}

TEST_P(RuntimeCacheEventsTest, ShowsADeadSandboxAndItsRemoval) {
  RunPod("web");
  Begin();
  Follow();
  const std::string sandbox = runtime_.FindSandbox("web")->id;
  runtime_.KillSandbox(sandbox);
  EXPECT_TRUE(Eventually([&] {
    return cache_->Get("uid-web")->CurrentSandbox()->sandbox.state == SandboxState::kNotReady;
  }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemovePodSandbox({sandbox}, std::move(done)); }));
  EXPECT_TRUE(Eventually([&] { return cache_->Get("uid-web") == nullptr; }));
}

INSTANTIATE_TEST_SUITE_P(Sources,
                         RuntimeCacheEventsTest,
                         ::testing::Values(EventCase{true, milliseconds(0)},
                                           EventCase{false, milliseconds(0)},
                                           EventCase{false, milliseconds(60)}),
                         [](const auto& test) {
                           return std::string(test.param.cri_events ? "Cri" : "Containerd") +
                                  (test.param.lag.count() > 0 ? "Lagging" : "");
                         });

}  // namespace
}  // namespace farlet::cri
