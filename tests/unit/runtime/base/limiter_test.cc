#include "runtime/base/limiter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace farlet {
namespace {

TEST(ConcurrencyLimiterTest, StartsTheOldestWaitingOne) {
  ConcurrencyLimiter limiter(2);
  std::vector<int> started;
  for (int i = 0; i < 4; ++i) {
    limiter.Submit([&started, i] { started.push_back(i); });
  }
  EXPECT_EQ(started, (std::vector<int>{0, 1}));
  limiter.Done();
  EXPECT_EQ(started, (std::vector<int>{0, 1, 2}));
  limiter.Done();
  limiter.Done();
  limiter.Done();
  EXPECT_EQ(started, (std::vector<int>{0, 1, 2, 3}));
  limiter.Submit([&started] { started.push_back(4); });
  EXPECT_EQ(started.back(), 4);
}

TEST(ConcurrencyLimiterTest, NeverRunsMoreThanItsLimit) {
  ConcurrencyLimiter limiter(3);
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        limiter.Submit([&] {
          const int now = ++running;
          int seen = most;
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          --running;
          ++ran;
          limiter.Done();
        });
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(ran, 1600);
  EXPECT_LE(most, 3);
}

}  // namespace
}  // namespace farlet
