#include "runtime/base/fd.h"
#include "runtime/base/undo.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace farlet {
namespace {

bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFdTest, ClosesOnceWhereverItWent) {
  const int number = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(number, 0);
  {
    UniqueFd first(number);
    UniqueFd second(std::move(first));
    EXPECT_TRUE(second.valid());
    UniqueFd third;
    EXPECT_FALSE(third.valid());
    third = std::move(second);
    EXPECT_EQ(third.get(), number);
    EXPECT_TRUE(IsOpen(number));
  }
  EXPECT_FALSE(IsOpen(number));
}

TEST(UniqueFdTest, ReleaseGivesItAway) {
  const int number = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(number, 0);
  {
    UniqueFd fd(number);
    EXPECT_EQ(fd.Release(), number);
  }
  EXPECT_TRUE(IsOpen(number));
  ::close(number);
}

TEST(UndoTest, RevertsUnlessDismissed) {
  int reverted = 0;
  {
    const Undo undo([&] { ++reverted; });
  }
  EXPECT_EQ(reverted, 1);
  {
    Undo undo([&] { ++reverted; });
    undo.Dismiss();
  }
  EXPECT_EQ(reverted, 1);
}

}  // namespace
}  // namespace farlet
