#include "provider/webhook/looker.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"
#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <atomic>

namespace farlet::webhook {
namespace {

using ::farlet::testing::Eventually;
using ::farlet::testing::FakeClock;

constexpr LookerOptions kOptions{.settle = milliseconds(500), .look_again = seconds(60)};

class LookerTest : public ::testing::Test {
 protected:
  // Whatever was due before that has run when this returns.
  void Pass(milliseconds time) {
    clock_.Advance(time);
    std::atomic<bool> last = false;
    timers_.After(milliseconds(0), [&] { last = true; });
    timers_.Poke();
    ASSERT_TRUE(Eventually([&] { return last.load(); }));
  }

  FakeClock clock_;
  TimerService timers_{clock_};
  std::atomic<int> looks_ = 0;
};

TEST_F(LookerTest, ReasonsThatComeCloseTogetherAreOneLook) {
  Looker looker(timers_, {.settle = milliseconds(500)}, [this] { ++looks_; });
  looker.LookSoon();
  Pass(milliseconds(400));
  looker.LookSoon();
  EXPECT_EQ(looks_, 0);
  Pass(milliseconds(100));
  EXPECT_EQ(looks_, 1) << "a later reason does not put it off";
  Pass(seconds(3600));
  EXPECT_EQ(looks_, 1) << "and without one there is none";
}

TEST_F(LookerTest, LooksAgainWithoutAReason) {
  Looker looker(timers_, kOptions, [this] { ++looks_; });
  looker.LookSoon();
  Pass(milliseconds(500));
  Pass(milliseconds(59'999));
  EXPECT_EQ(looks_, 1);
  Pass(milliseconds(1));
  EXPECT_EQ(looks_, 2);
  looker.LookSoon();
  Pass(milliseconds(500));
  EXPECT_EQ(looks_, 3);
  Pass(milliseconds(59'500));
  EXPECT_EQ(looks_, 3) << "the next is counted from the last";
}

TEST_F(LookerTest, MayHaveAReasonWhileItLooks) {
  Looker* itself = nullptr;
  Looker looker(timers_, kOptions, [&] {
    if (++looks_ == 1) {
      itself->LookSoon();
    }
  });
  itself = &looker;
  looker.LookSoon();
  Pass(milliseconds(500));
  Pass(milliseconds(500));
  EXPECT_EQ(looks_, 2);
}

TEST_F(LookerTest, NoneComesAfterStop) {
  Looker looker(timers_, kOptions, [this] { ++looks_; });
  looker.LookSoon();
  looker.Stop();
  looker.LookSoon();
  looker.Stop();
  Pass(seconds(100));
  EXPECT_EQ(looks_, 0);
}

}  // namespace
}  // namespace farlet::webhook
