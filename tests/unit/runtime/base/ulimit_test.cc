#include "runtime/base/ulimit.h"

#include <gtest/gtest.h>

namespace farlet {
namespace {

std::string Problem(std::string_view text) {
  const auto limits = ParseUlimits(text);
  return limits ? "" : limits.error().message;
}

TEST(UlimitTest, ReadsWhatDockerTakes) {
  const auto limits = ParseUlimits("nofile=65535:1048576,memlock=unlimited,nproc=100,core=0:-1");
  ASSERT_TRUE(limits) << limits.error().message;
  EXPECT_EQ(*limits, (std::vector<Ulimit>{{"nofile", 65535, 1048576},
                                          {"memlock", kUnlimited, kUnlimited},
                                          {"nproc", 100, 100},
                                          {"core", 0, kUnlimited}}));
}

TEST(UlimitTest, MistakesAreNamed) {
  EXPECT_EQ(Problem(""), "\"\" is not of the form name=soft:hard");
  EXPECT_EQ(Problem("nofile"), "\"nofile\" is not of the form name=soft:hard");
  EXPECT_EQ(Problem("nofile=1,"), "\"\" is not of the form name=soft:hard");
  EXPECT_EQ(Problem("NOFILE=1"), "\"NOFILE\" is the name of no ulimit");
  EXPECT_EQ(Problem("nofile=1:2:3"),
            "\"nofile=1:2:3\" has a limit that is neither a number nor unlimited");
  EXPECT_EQ(Problem("nofile="), "\"nofile=\" has a limit that is neither a number nor unlimited");
  EXPECT_EQ(Problem("cpu=99999999999999999999"),
            "\"cpu=99999999999999999999\" has a limit that is neither a number nor unlimited");
  EXPECT_EQ(Problem("nproc=2:1"), "\"nproc=2:1\" has a soft limit above the hard one");
  EXPECT_EQ(Problem("nofile=1:unlimited"), "\"nofile=1:unlimited\" is above 1048576");
  EXPECT_EQ(Problem("nproc=1,nproc=2"), "\"nproc\" is there twice");
  EXPECT_EQ(Problem("a\nb\xc3\xa4"), "\"a?b??\" is not of the form name=soft:hard");
  EXPECT_EQ(Problem(std::string(1000, 'x')).size(), 64 + 36u);
}

}  // namespace
}  // namespace farlet
