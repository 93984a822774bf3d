#include "runtime/base/mountinfo.h"

#include <gtest/gtest.h>

namespace farlet {
namespace {

TEST(MountInfoTest, ReadsPointsAndRoots) {
  const auto mounts = ParseMountInfo(
      "36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 - ext3 /dev/root rw\n"
      "nonsense\n"
      "37 35 0:5 / /proc rw - proc proc rw\n");
  ASSERT_EQ(mounts.size(), 2U);
  EXPECT_EQ(mounts[0].root, "/mnt1");
  EXPECT_EQ(mounts[0].point, "/a b");
  EXPECT_EQ(mounts[0].filesystem, "ext3");
  EXPECT_EQ(mounts[1].point, "/proc");
}

}  // namespace
}  // namespace farlet
