#include "runtime/vm/translation/code_ranges.h"

#include <gtest/gtest.h>

namespace farlet::vm {
namespace {

// As QEMU 7.2 has them.
TEST(CodeRange, IsWrittenAndExecutedAndOfNoFile) {
  const auto range = ParseCodeRange("7f01a8000000-7f01aaff9000 rwxp 00000000 00:00 0 ");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->begin, 0x7f01a8000000u);
  EXPECT_EQ(range->size, 0x2ff9000u);
  EXPECT_TRUE(ParseCodeRange("7f01a8000000-7f01aaff9000 rwxp 00000000 00:00 0"));
}

TEST(CodeRange, OthersAreNot) {
  for (const char* line : {
           "7f01a8000000-7f01aaff9000 rw-p 00000000 00:00 0 ",
           "7f01a8000000-7f01aaff9000 r-xp 00000000 00:00 0 ",
           "7f01a8000000-7f01aaff9000 rwxs 00000000 00:00 0 ",
           "7f01a8000000-7f01aaff9000 rwxp 00001000 fe:01 4711   /usr/lib/x.so",
           "7f01a8000000-7f01aaff9000 rwxp 00000000 00:00 0      [stack]",
           "7f01aaff9000-7f01a8000000 rwxp 00000000 00:00 0 ",
           "7f01a8000000 7f01aaff9000 rwxp 00000000 00:00 0 ",
           "7f01a8000000-",
           "7f01a8000000",
           "-",
           "",
       }) {
    EXPECT_FALSE(ParseCodeRange(line)) << line;
  }
}

}  // namespace
}  // namespace farlet::vm
