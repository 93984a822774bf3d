#include "runtime/base/file_lock.h"

#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <future>

namespace farlet {
namespace {

constexpr std::chrono::milliseconds kPatience{50};

class FileLockTest : public testing::Test {
 protected:
  bool CanTake(LockKind kind) {
    const auto lock = TryLockFile(path_, kind);
    EXPECT_TRUE(lock);
    return lock && *lock;
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "lock";
};

TEST_F(FileLockTest, SharedOrExclusive) {
  auto first = LockFile(path_, LockKind::kShared);
  ASSERT_TRUE(first);
  EXPECT_TRUE(CanTake(LockKind::kShared));
  EXPECT_FALSE(CanTake(LockKind::kExclusive));
  first->Close();
  const auto second = LockFile(path_, LockKind::kExclusive);
  EXPECT_FALSE(CanTake(LockKind::kShared));
}

TEST_F(FileLockTest, WaitsNoLongerThanAsked) {
  auto held = LockFile(path_, LockKind::kExclusive);
  ASSERT_TRUE(held);
  const auto start = std::chrono::steady_clock::now();
  const auto late = LockFileUntil(path_, LockKind::kExclusive, start + kPatience);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
  EXPECT_GE(std::chrono::steady_clock::now(), start + kPatience);
  held->Close();
  EXPECT_TRUE(LockFileUntil(path_, LockKind::kExclusive, start));
}

TEST_F(FileLockTest, IsOnTheFileAtThePath) {
  auto old = LockFile(path_, LockKind::kExclusive);
  ASSERT_TRUE(old);
  auto waiting =
      std::async(std::launch::async, [&] { return LockFile(path_, LockKind::kExclusive); });
  ASSERT_TRUE(std::filesystem::remove(path_));
  old->Close();
  const auto lock = waiting.get();
  ASSERT_TRUE(lock);
  EXPECT_TRUE(std::filesystem::exists(path_));
  EXPECT_FALSE(CanTake(LockKind::kShared));
}

TEST_F(FileLockTest, EndsWithAKilledProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = LockFile(path_, LockKind::kExclusive);
    ::raise(lock ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(CanTake(LockKind::kExclusive));
}

}  // namespace
}  // namespace farlet
