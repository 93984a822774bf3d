#include "runtime/guest/mount_options.h"

#include "proto/guest/v1/guest.pb.h"

#include <gtest/gtest.h>

#include <sys/mount.h>

namespace farlet::guest {
namespace {

Result<MountOptions> Parse(const std::vector<std::string>& texts, bool bind) {
  v1::Mount mount;
  mount.mutable_options()->Assign(texts.begin(), texts.end());
  return ParseMountOptions(mount.options(), bind);
}

TEST(MountOptions, FlagsAndData) {
  const auto options = Parse({"nosuid", "noexec", "mode=755", "ro", "size=64m", "rw"}, false);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->flags, static_cast<unsigned long>(MS_NOSUID | MS_NOEXEC));
  EXPECT_EQ(options->data, "mode=755,size=64m");
  EXPECT_EQ(options->propagation, 0u);
}

TEST(MountOptions, AttributesOfBinds) {
  const auto options = Parse({"rbind", "rslave", "ro", "nodev"}, true);
  ASSERT_TRUE(options);
  EXPECT_NE(options->flags & MS_REC, 0u);
  EXPECT_EQ(options->attributes_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV});
  EXPECT_EQ(options->attributes_clear, 0u);
  EXPECT_EQ(options->propagation, static_cast<unsigned long>(MS_SLAVE));
  EXPECT_TRUE(options->propagation_recursive);
}

TEST(MountOptions, RecursiveAttributes) {
  const auto options = Parse({"rbind", "rro", "rnosuid", "exec"}, true);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->recursive_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(options->attributes_set, 0u);
  EXPECT_EQ(options->attributes_clear, uint64_t{MOUNT_ATTR_NOEXEC});
}

// The kernel refuses a change of the access time unless the whole field is cleared.
TEST(MountOptions, AccessTimeIsOneField) {
  const auto options = Parse({"noatime"}, true);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->attributes_set, uint64_t{MOUNT_ATTR_NOATIME});
  EXPECT_EQ(options->attributes_clear, uint64_t{MOUNT_ATTR__ATIME});
  const auto relative = Parse({"noatime", "relatime"}, true);
  ASSERT_TRUE(relative);
  EXPECT_EQ(relative->attributes_set, 0u);
  EXPECT_EQ(relative->attributes_clear, uint64_t{MOUNT_ATTR__ATIME});
}

TEST(MountOptions, UnknownOnes) {
  EXPECT_FALSE(Parse({"fly"}, true));
  EXPECT_TRUE(Parse({"fly"}, false)) << "the file system decides";
  EXPECT_FALSE(Parse({"remount"}, false));
  EXPECT_FALSE(Parse({"a,ro"}, false));
  EXPECT_TRUE(Parse({"", "defaults", "bind"}, true));
}

TEST(MountOptions, Propagation) {
  EXPECT_EQ(PropagationFlags("rshared"), static_cast<unsigned long>(MS_SHARED | MS_REC));
  EXPECT_EQ(PropagationFlags("private"), static_cast<unsigned long>(MS_PRIVATE));
  EXPECT_EQ(PropagationFlags("x"), 0u);
}

}  // namespace
}  // namespace farlet::guest
