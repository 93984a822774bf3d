#include "runtime/vm/translation/rest_watch.h"

#include <gtest/gtest.h>

namespace farlet::vm {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A machine that wakes up every 500 ms.
class RestWatchTest : public ::testing::Test {
 protected:
  // How often the watch says so while it uses `percent` of a CPU for `time`.
  int Run(RestWatch::Duration time, int percent) {
    int rested = 0;
    for (const auto until = now_ + time; now_ < until;) {
      now_ += kStep;
      used_ += kStep * percent / 100;
      rested += watch_.Rested(now_, used_) ? 1 : 0;
    }
    return rested;
  }

  void Stop(RestWatch::Duration time) { now_ += time; }

 private:
  static constexpr RestWatch::Duration kStep = milliseconds(500);

  RestWatch watch_;
  RestWatch::Duration now_ = minutes(50);
  RestWatch::Duration used_ = seconds(1);
};

TEST_F(RestWatchTest, AStartIsFollowedByOneRest) {
  EXPECT_EQ(Run(seconds(3), 100), 0);
  EXPECT_EQ(Run(seconds(12), 1), 1);
  EXPECT_EQ(Run(minutes(60), 1), 0) << "nothing was done since";
}

TEST_F(RestWatchTest, WorkIsNoRest) {
  EXPECT_EQ(Run(minutes(10), 100), 0);
  EXPECT_EQ(Run(minutes(10), RestWatch::kLittlePercent + 1), 0);
}

TEST_F(RestWatchTest, AMachineThatWasStoppedIsNotAtRest) {
  EXPECT_EQ(Run(seconds(1), 100), 0);
  Stop(minutes(5));
  EXPECT_EQ(Run(seconds(4), 100), 0);
  EXPECT_EQ(Run(seconds(4), 1), 0) << "the window has its start's work in it";
  EXPECT_EQ(Run(seconds(6), 1), 1);
}

TEST_F(RestWatchTest, RestsAfterWorkComeEverLessOften) {
  int rests = 0;
  for (int i = 0; i < 60; ++i) {
    rests += Run(seconds(10), 50) + Run(seconds(10), 1);
  }
  // Pauses of 1, 2, 4, 8 and 10 minutes in 20.
  EXPECT_GE(rests, 4);
  EXPECT_LE(rests, 6);
  EXPECT_EQ(Run(RestWatch::kLongestPause, 50) + Run(seconds(10), 1), 1);
}

}  // namespace
}  // namespace farlet::vm
