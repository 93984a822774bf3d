#include "provider/pod/crash_backoff.h"

#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <vector>

namespace farlet::pod {
namespace {

TEST(CrashBackoffTest, DoublesUpToFiveMinutes) {
  testing::FakeClock clock;
  CrashBackoff crash;
  std::vector<int64_t> waits;
  for (int i = 0; i < 8; ++i) {
    const WallTime ended = clock.WallNow();
    waits.push_back(crash.Current(ended).count());
    clock.Advance(crash.Current(ended));
    EXPECT_FALSE(crash.BlockedUntil(ended, clock.WallNow()));
    crash.OnRestart(ended, clock.WallNow());
    clock.Advance(seconds(1));
  }
  EXPECT_EQ(waits, (std::vector<int64_t>{0, 10, 20, 40, 80, 160, 300, 300}));
}

TEST(CrashBackoffTest, StartsAnewAfterALongLife) {
  testing::FakeClock clock;
  CrashBackoff crash;
  crash.OnRestart(clock.WallNow(), clock.WallNow());
  clock.Advance(seconds(600));
  EXPECT_EQ(crash.Current(clock.WallNow()), seconds(10));
  clock.Advance(seconds(1));
  EXPECT_EQ(crash.Current(clock.WallNow()), seconds(0));
}

TEST(CrashBackoffTest, ClockThatIsSetBackDoesNotHoldForHours) {
  testing::FakeClock clock;
  CrashBackoff crash;
  crash.OnRestart(clock.WallNow(), clock.WallNow());
  const WallTime later = clock.WallNow() + std::chrono::hours(5);
  EXPECT_EQ(crash.BlockedUntil(later - std::chrono::hours(5) + seconds(5), clock.WallNow()),
            clock.WallNow() + seconds(10));
}

TEST(CrashBackoffTest, SeedsFromTheRestartCount) {
  testing::FakeClock clock;
  CrashBackoff crash;
  crash.Seed(3, clock.WallNow());
  EXPECT_EQ(crash.Current(clock.WallNow() + seconds(2)), seconds(40));
  EXPECT_EQ(crash.Current(clock.WallNow() + seconds(700)), seconds(0));
}

}  // namespace
}  // namespace farlet::pod
