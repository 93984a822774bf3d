#include "runtime/cri/event_source.h"

#include "tests/unit/runtime/cri/cri_test_support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::cri {
namespace {

using Kind = RuntimeEvent::Kind;

// Remembers the notices and checks that they come one at a time.
class Recorder {
 public:
  void Take(const EventNotice& notice) {
    ASSERT_TRUE(busy_.try_lock());
    {
      const std::lock_guard lock(mutex_);
      notices_.push_back(notice);
    }
    busy_.unlock();
  }

  template <class Notice>
  int Count() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count_if(
        notices_.begin(), notices_.end(),
        [](const EventNotice& notice) { return std::holds_alternative<Notice>(notice); }));
  }

  template <class Notice>
  bool LastIs() const {
    const std::lock_guard lock(mutex_);
    return !notices_.empty() && std::holds_alternative<Notice>(notices_.back());
  }

  bool Saw(Kind kind, const std::string& id) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(notices_.begin(), notices_.end(), [&](const EventNotice& notice) {
      const auto* event = std::get_if<RuntimeEvent>(&notice);
      return event != nullptr && event->kind == kind && event->id == id;
    });
  }

 private:
  std::mutex busy_;
  mutable std::mutex mutex_;  // guards notices_
  std::vector<EventNotice> notices_;
};

class EventSourceTest : public CriTest, public ::testing::WithParamInterface<bool> {
 protected:
  explicit EventSourceTest(testing::FakeCriServer::Options options) : CriTest(options) {}

  EventSourceTest() : EventSourceTest({.cri_events = GetParam()}) {}

  void Follow() {
    auto source = FollowEvents(runtime_.endpoint(), clock_, timers_,
                               [this](const EventNotice& notice) { recorder_.Take(notice); });
    ASSERT_TRUE(source);
    source_ = std::move(*source);
  }

  RealClock clock_;
  TimerService timers_{clock_};
  Recorder recorder_;
  std::unique_ptr<EventSource> source_;
};

TEST_P(EventSourceTest, TellsExitsAndRemovals) {
  Follow();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 1; }));
  EXPECT_EQ(runtime_.Calls("Subscribe"), GetParam() ? 0 : 1);
  const ContainerId id = RunPod("web");
  EXPECT_TRUE(Eventually([&] { return recorder_.Saw(Kind::kStarted, id.value); }));
  runtime_.Exit(id.value, 1);
  EXPECT_TRUE(Eventually([&] { return recorder_.Saw(Kind::kStopped, id.value); }));
  EXPECT_TRUE(Await<void>([&](auto done) { client_->RemoveContainer(id, std::move(done)); }));
  EXPECT_TRUE(Eventually([&] { return recorder_.Saw(Kind::kDeleted, id.value); }));
  EXPECT_EQ(recorder_.Count<EventsLost>(), 0);
}

TEST_P(EventSourceTest, ComesBackAfterARestartOfTheRuntime) {
  Follow();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 1; }));
  runtime_.Stop();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsLost>() == 1; }));
  runtime_.Start();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 2; }));
  // One outage is told once, however many tries it took.
  EXPECT_EQ(recorder_.Count<EventsLost>(), 1);
  const ContainerId id = RunPod("web");
  runtime_.Exit(id.value, 1);
  EXPECT_TRUE(Eventually([&] { return recorder_.Saw(Kind::kStopped, id.value); }));
}

TEST_P(EventSourceTest, NoticesAnUpgradeOfTheRuntime) {
  Follow();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 1; }));
  const int subscribed = runtime_.Calls("Subscribe");
  runtime_.Stop();
  runtime_.SetCriEvents(!GetParam());
  runtime_.Start();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 2; }));
  EXPECT_EQ(runtime_.Calls("Subscribe"), GetParam() ? subscribed + 1 : subscribed);
}

TEST_P(EventSourceTest, IsQuietOnceDestroyed) {
  Follow();
  ASSERT_TRUE(Eventually([&] { return recorder_.Count<EventsResumed>() == 1; }));
  source_.reset();
  EXPECT_TRUE(Eventually([&] { return runtime_.EventStreams() == 0; }));
  RunPod("web");
  EXPECT_EQ(recorder_.Count<RuntimeEvent>(), 0);
}

TEST_P(EventSourceTest, CanBeDestroyedWhileTheRuntimeIsGone) {
  runtime_.Stop();
  Follow();
  EXPECT_TRUE(Eventually([&] { return recorder_.Count<EventsLost>() == 1; }));
  source_.reset();
  EXPECT_EQ(recorder_.Count<EventsResumed>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Sources, EventSourceTest, ::testing::Bool(), [](const auto& test) {
  return test.param ? "Cri" : "Containerd";
});

class NoEventsTest : public EventSourceTest {
 protected:
  NoEventsTest() : EventSourceTest({.cri_events = false, .containerd_events = false}) {}
};

TEST_P(NoEventsTest, SaysThatThereAreNone) {
  Follow();
  // On a busy machine the streams may look open for a moment.
  EXPECT_TRUE(Eventually([&] { return recorder_.LastIs<EventsLost>(); }));
}

INSTANTIATE_TEST_SUITE_P(Sources, NoEventsTest, ::testing::Values(false));

TEST(FollowEventsTest, NamesABadEndpoint) {
  const RealClock clock;
  TimerService timers(clock);
  const auto source = FollowEvents("tcp://1.2.3.4:1", clock, timers, [](const EventNotice&) {});
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, Code::kInvalidArgument);
  EXPECT_NE(source.error().message.find("tcp://1.2.3.4:1"), std::string::npos);
}

}  // namespace
}  // namespace farlet::cri
