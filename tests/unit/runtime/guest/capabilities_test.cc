#include "runtime/guest/capabilities.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/rlimits.h"

#include <gtest/gtest.h>

namespace farlet::guest {
namespace {

TEST(Capabilities, NamesAreNumbers) {
  v1::Capabilities names;
  names.add_bounding("CAP_CHOWN");
  names.add_bounding("CAP_SYS_ADMIN");
  names.add_effective("CAP_CHECKPOINT_RESTORE");
  names.add_ambient("CAP_NET_BIND_SERVICE");
  const auto sets = ParseCapabilities(names);
  ASSERT_TRUE(sets);
  EXPECT_EQ(sets->bounding, uint64_t{1} | uint64_t{1} << 21);
  EXPECT_EQ(sets->effective, uint64_t{1} << 40);
  EXPECT_EQ(sets->permitted, 0u);
  EXPECT_EQ(sets->inheritable, 0u);
  EXPECT_EQ(sets->ambient, uint64_t{1} << 10);
}

TEST(Capabilities, UnknownNamesAreTold) {
  v1::Capabilities names;
  names.add_permitted("CAP_FLY");
  const auto sets = ParseCapabilities(names);
  ASSERT_FALSE(sets);
  EXPECT_EQ(sets.error().code, Code::kInvalidArgument);
  EXPECT_NE(sets.error().message.find("CAP_FLY"), std::string::npos);
}

TEST(Rlimits, TypesAndOrder) {
  v1::Process process;
  auto* limit = process.add_rlimits();
  limit->set_type("RLIMIT_NOFILE");
  limit->set_soft(1);
  limit->set_hard(2);
  auto parsed = ParseRlimits(process.rlimits());
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->size(), 1u);
  EXPECT_EQ(parsed->front().resource, RLIMIT_NOFILE);
  EXPECT_EQ(parsed->front().limit.rlim_cur, 1u);
  EXPECT_EQ(parsed->front().limit.rlim_max, 2u);
  limit->set_soft(3);
  EXPECT_FALSE(ParseRlimits(process.rlimits()));
  limit->set_soft(1);
  limit->set_type("RLIMIT_MOOD");
  EXPECT_FALSE(ParseRlimits(process.rlimits()));
}

}  // namespace
}  // namespace farlet::guest
