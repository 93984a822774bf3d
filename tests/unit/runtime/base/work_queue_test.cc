#include "runtime/base/work_queue.h"

#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace farlet {
namespace {

using testing::FakeClock;

class WorkQueueTest : public ::testing::Test {
 protected:
  ~WorkQueueTest() override {
    Open();
    queue_.Stop();
  }

  void Start(int workers) {
    queue_.Start(workers, [this](const std::string& key) {
      std::unique_lock lock(mutex_);
      handled_.push_back(key);
      ++running_[key];
      overlapped_ = overlapped_ || running_[key] > 1;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      --running_[key];
    });
  }

  // While closed, handlers do not return.
  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }

  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

  void Pass(milliseconds time) {
    clock_.Advance(time);
    queue_.Poke();
  }

  std::vector<std::string> Handled(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(10), [&] { return handled_.size() >= count; });
    return handled_;
  }

  using Keys = std::vector<std::string>;

  FakeClock clock_;
  std::mutex mutex_;  // guards all below but queue_
  std::condition_variable changed_;
  bool open_ = true;
  bool overlapped_ = false;
  Keys handled_;
  std::map<std::string, int> running_;
  WorkQueue queue_{clock_};
};

TEST_F(WorkQueueTest, HandlesEachKeyOnceHoweverOftenItWasAdded) {
  queue_.Add("a");
  queue_.Add("b");
  queue_.Add("a");
  Start(1);
  EXPECT_EQ(Handled(2), (Keys{"a", "b"}));
  queue_.Add("end");
  EXPECT_EQ(Handled(3), (Keys{"a", "b", "end"}));
}

TEST_F(WorkQueueTest, AKeyAddedWhileItIsHandledIsHandledOnceMore) {
  Close();
  Start(2);
  queue_.Add("a");
  EXPECT_EQ(Handled(1), (Keys{"a"}));
  queue_.Add("a");
  queue_.Add("a");
  queue_.Add("b");  // the other worker is free
  EXPECT_EQ(Handled(2), (Keys{"a", "b"}));
  Open();
  EXPECT_EQ(Handled(3), (Keys{"a", "b", "a"}));
  queue_.Add("end");
  EXPECT_EQ(Handled(4).size(), 4U);
  EXPECT_FALSE(overlapped_);
}

TEST_F(WorkQueueTest, OfSeveralDelaysTheEarliestWins) {
  Start(1);
  queue_.AddAfter("a", milliseconds(100));
  queue_.AddAfter("a", milliseconds(10));
  queue_.AddAfter("a", milliseconds(50));
  queue_.AddAfter("b", milliseconds(20));
  Pass(milliseconds(10));
  EXPECT_EQ(Handled(1), (Keys{"a"}));
  Pass(milliseconds(200));
  EXPECT_EQ(Handled(2), (Keys{"a", "b"}));
  queue_.Add("end");
  EXPECT_EQ(Handled(3), (Keys{"a", "b", "end"}));
}

TEST_F(WorkQueueTest, AddOverridesADelay) {
  Start(1);
  queue_.AddAfter("a", milliseconds(10));
  queue_.Add("a");
  EXPECT_EQ(Handled(1), (Keys{"a"}));
  Pass(milliseconds(100));
  queue_.Add("end");
  EXPECT_EQ(Handled(2), (Keys{"a", "end"}));
}

TEST_F(WorkQueueTest, CancelDelayForgetsIt) {
  Start(1);
  queue_.AddAfter("a", milliseconds(10));
  queue_.CancelDelay("a");
  queue_.AddAfter("b", milliseconds(10));
  Pass(milliseconds(10));
  EXPECT_EQ(Handled(1), (Keys{"b"}));
}

TEST_F(WorkQueueTest, ADelayThatEndsWhileTheKeyIsHandledCounts) {
  Close();
  Start(2);
  queue_.Add("a");
  EXPECT_EQ(Handled(1), (Keys{"a"}));
  queue_.AddAfter("a", milliseconds(10));
  Pass(milliseconds(10));
  Open();
  EXPECT_EQ(Handled(2), (Keys{"a", "a"}));
}

TEST_F(WorkQueueTest, StopLetsRunningHandlersEndAndRefusesTheRest) {
  Close();
  Start(1);
  queue_.Add("a");
  EXPECT_EQ(Handled(1), (Keys{"a"}));
  queue_.Add("b");
  std::thread stopper([this] { queue_.Stop(); });
  Open();
  stopper.join();
  queue_.Add("c");
  queue_.AddAfter("d", milliseconds(0));
  const Keys handled = Handled(0);
  EXPECT_TRUE(handled == (Keys{"a"}) || handled == (Keys{"a", "b"}));
  queue_.Stop();
}

TEST_F(WorkQueueTest, NoKeyIsLostOrDoubledUnderLoad) {
  Start(4);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < 500; ++i) {
        queue_.Add(std::to_string(thread * 500 + i));
        queue_.Add("shared");
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  {
    // "shared" is handled more than once: not the handlings count, but the keys.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, seconds(10), [&] { return running_.size() == 2001U; });
  }
  queue_.Stop();
  std::map<std::string, int> count;
  for (const std::string& key : handled_) {
    ++count[key];
  }
  EXPECT_EQ(count.size(), 2001U);
  for (const auto& [key, times] : count) {
    EXPECT_TRUE(key == "shared" || times == 1) << key;
  }
  EXPECT_FALSE(overlapped_);
}

}  // namespace
}  // namespace farlet
