#include "runtime/base/timer.h"

#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <string>

namespace farlet {
namespace {

using testing::FakeClock;

class TimerTest : public ::testing::Test {
 protected:
  void Note(char letter) {
    const std::lock_guard lock(mutex_);
    fired_ += letter;
    changed_.notify_all();
  }

  void Pass(milliseconds time) {
    clock_.Advance(time);
    timers_.Poke();
  }

  // What fired, once it is as long as `expected`.
  std::string Fired(const std::string& expected) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(10), [&] { return fired_.size() >= expected.size(); });
    return fired_;
  }

  FakeClock clock_;
  std::mutex mutex_;  // guards fired_
  std::condition_variable changed_;
  std::string fired_;
  TimerService timers_{clock_};
};

TEST_F(TimerTest, FiresInTheOrderOfTheirTimes) {
  timers_.After(milliseconds(30), [this] { Note('c'); });
  timers_.After(milliseconds(10), [this] { Note('a'); });
  timers_.After(milliseconds(20), [this] { Note('b'); });
  Pass(milliseconds(10));
  EXPECT_EQ(Fired("a"), "a");
  Pass(milliseconds(19));
  EXPECT_EQ(Fired("ab"), "ab");
  Pass(milliseconds(1));
  EXPECT_EQ(Fired("abc"), "abc");
}

TEST_F(TimerTest, NothingFiresEarly) {
  timers_.After(milliseconds(10), [this] { Note('x'); });
  Pass(milliseconds(9));
  timers_.After(milliseconds(0), [this] { Note('a'); });
  EXPECT_EQ(Fired("a"), "a");
  Pass(milliseconds(1));
  EXPECT_EQ(Fired("ax"), "ax");
}

TEST_F(TimerTest, CancelsWhatHasNotFired) {
  const auto id = timers_.After(milliseconds(10), [this] { Note('x'); });
  EXPECT_TRUE(timers_.Cancel(id));
  EXPECT_FALSE(timers_.Cancel(id));
  EXPECT_FALSE(timers_.Cancel(0));
  timers_.After(milliseconds(10), [this] { Note('a'); });
  Pass(milliseconds(20));
  EXPECT_EQ(Fired("a"), "a");
}

TEST_F(TimerTest, ACallbackMaySetTheNextOne) {
  timers_.After(milliseconds(10), [this] {
    timers_.After(milliseconds(10), [this] { Note('b'); });
    Note('a');  // last: the test moves the clock when it sees it
  });
  Pass(milliseconds(10));
  EXPECT_EQ(Fired("a"), "a");
  Pass(milliseconds(10));
  EXPECT_EQ(Fired("ab"), "ab");
}

TEST(TimerServiceTest, DropsTheRestWhenDestroyed) {
  const RealClock clock;
  bool fired = false;
  {
    TimerService timers(clock);
    timers.After(std::chrono::hours(1), [&] { fired = true; });
  }
  EXPECT_FALSE(fired);
}

}  // namespace
}  // namespace farlet
