#include "runtime/shim/cpu_timer.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <optional>

namespace farlet::shim {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

struct Late {
  nanoseconds took;
  nanoseconds waited;
};

// What a host says that has waited `share` of the time since this object exists, and `before` until
// then.
class Host {
 public:
  Host(double share, nanoseconds before) : share_(share), before_(before) {}

  CpuTimer::Waited waited() const {
    return [this] {
      const auto passed = std::chrono::steady_clock::now() - since_;
      return before_ + std::chrono::duration_cast<nanoseconds>(passed * share_);
    };
  }

 private:
  const double share_;
  const nanoseconds before_;
  const std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

class CpuTimerTest : public testing::Test {
 protected:
  CpuTimer::OnLate OnLate() {
    return [this](nanoseconds took, nanoseconds waited) {
      EXPECT_FALSE(late_);
      late_ = {took, waited};
    };
  }

  boost::asio::io_context io_;
  std::optional<Late> late_;
};

constexpr CpuTimer::Limit kLimit{.usual = 400ms, .longest = 1s};

TEST_F(CpuTimerTest, EndsInTimeOnAnIdleHost) {
  const Host host(0, 5s);
  CpuTimer::Start(io_, kLimit, host.waited(), OnLate());
  io_.run();
  ASSERT_TRUE(late_);
  EXPECT_GE(late_->took, 350ms);
  EXPECT_LT(late_->took, 1s);
  EXPECT_EQ(late_->waited, 0s);
}

TEST_F(CpuTimerTest, WhatWasWaitedMeanwhileDoesNotCount) {
  const Host host(0.5, 5s);
  CpuTimer::Start(io_, kLimit, host.waited(), OnLate());
  io_.run();
  ASSERT_TRUE(late_);
  EXPECT_GT(late_->waited, 0s);
  // It does not go on for the last 50 ms.
  EXPECT_GE(late_->took, kLimit.usual + late_->waited - 50ms);
}

TEST_F(CpuTimerTest, EndsInAnyCase) {
  const Host host(2, 0s);
  CpuTimer::StartFromZero(io_, kLimit, host.waited(), OnLate());
  io_.run();
  ASSERT_TRUE(late_);
  EXPECT_GE(late_->took, 950ms);
}

TEST_F(CpuTimerTest, FromZeroAllThatWasWaitedCounts) {
  const Host host(0, 300ms);
  CpuTimer::StartFromZero(io_, kLimit, host.waited(), OnLate());
  io_.run();
  ASSERT_TRUE(late_);
  EXPECT_GE(late_->took, 650ms);
  EXPECT_EQ(late_->waited, 300ms);
}

TEST_F(CpuTimerTest, SaysNothingOnceCancelled) {
  const Host host(0, 0s);
  CpuTimer::Start(io_, kLimit, host.waited(), OnLate())->Cancel();
  io_.run();
  EXPECT_FALSE(late_);
}

}  // namespace
}  // namespace farlet::shim
