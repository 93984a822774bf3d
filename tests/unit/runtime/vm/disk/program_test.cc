#include "runtime/vm/disk/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farlet::disk {
namespace {

using testing::HasSubstr;

Status Shell(const std::string& script, std::chrono::seconds timeout = std::chrono::seconds(20)) {
  return Run({.path = "sh", .arguments = {"-c", script}, .timeout = timeout});
}

TEST(ProgramTest, SucceedsOrTellsWhatItSaid) {
  EXPECT_TRUE(Shell("exit 0"));
  const Status failed = Shell("echo first; echo it is broken >&2; exit 3");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kInternal);
  EXPECT_EQ(failed.error().message, "sh: exit code 3: first it is broken");
  const Status killed = Shell("kill -9 $$");
  ASSERT_FALSE(killed);
  EXPECT_THAT(killed.error().message, HasSubstr("killed by signal 9"));
}

TEST(ProgramTest, KnowsAFullDisk) {
  const Status full = Shell("echo 'write: No space left on device' >&2; exit 1");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted);
}

TEST(ProgramTest, KeepsTheEndOfALongOutput) {
  const Status failed = Shell(
      "i=0; while [ $i -lt 5000 ]; do echo noise; i=$((i+1)); done; "
      "echo the end; exit 1");
  ASSERT_FALSE(failed);
  EXPECT_LT(failed.error().message.size(), 5000U);
  EXPECT_THAT(failed.error().message, HasSubstr("the end"));
}

TEST(ProgramTest, EndsWhatTakesTooLong) {
  const Status late = Shell("sleep 1000", std::chrono::seconds(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
}

TEST(ProgramTest, NamesAMissingProgram) {
  const Status none = disk::Run({.path = "mkfs.nothing-like-it"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(none.error().message, "mkfs.nothing-like-it is not installed");
  const Status elsewhere = disk::Run({.path = "/no/such/program"});
  ASSERT_FALSE(elsewhere);
  EXPECT_THAT(elsewhere.error().message, HasSubstr("No such file"));
}

TEST(ProgramTest, GetsNothingOfTheEnvironment) {
  ::setenv("FARLET_TEST_SECRET", "x", 1);  // NOLINT(concurrency-mt-unsafe): one thread here
  EXPECT_TRUE(Shell("[ -z \"$FARLET_TEST_SECRET\" ] && [ -n \"$PATH\" ] && ! read line"));
}

}  // namespace
}  // namespace farlet::disk
