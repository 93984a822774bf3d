#include "provider/pod/pod_cgroup.h"

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace farlet::pod {
namespace {

namespace fs = std::filesystem;

// Folders stand for control groups: both go by rmdir, and only when nothing is in them.
class PodCgroupTest : public ::testing::Test {
 protected:
  PodCgroupTest() {
    std::string name = "/tmp/farlet-cgroup-XXXXXX";
    mount_ = ::mkdtemp(name.data());
    node_.cgroup_root = "/farlet-x";
    pod_.meta.uid = "u-1";
  }

  ~PodCgroupTest() override {
    std::error_code ignored;
    fs::remove_all(mount_, ignored);
  }

  fs::path Make(const std::string& tree, const std::string& parent) {
    fs::path path = mount_ / tree / "farlet-x/kubepods" / parent / "podu-1";
    fs::create_directories(path / "container");
    return path;
  }

  fs::path mount_;
  NodeContext node_;
  kube::Pod pod_;
};

TEST_F(PodCgroupTest, GoesFromEveryHierarchyByItsUidAlone) {
  const fs::path memory = Make("memory", "besteffort");
  const fs::path cpu = Make("cpu", "burstable");
  EXPECT_TRUE(RemovePodCgroup(node_, pod_, mount_));
  EXPECT_FALSE(fs::exists(memory));
  EXPECT_FALSE(fs::exists(cpu));
  EXPECT_TRUE(fs::exists(cpu.parent_path()));
}

TEST_F(PodCgroupTest, GoesFromTheUnifiedHierarchy) {
  std::ofstream(mount_ / "cgroup.controllers") << "cpu memory\n";
  const fs::path path = Make("", "");
  EXPECT_TRUE(RemovePodCgroup(node_, pod_, mount_));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(PodCgroupTest, ThatIsInUseIsToldAndStays) {
  const fs::path path = Make("memory", "besteffort");
  std::ofstream(path / "container/in-use") << "x";
  EXPECT_FALSE(RemovePodCgroup(node_, pod_, mount_));
  fs::remove(path / "container/in-use");
  EXPECT_TRUE(RemovePodCgroup(node_, pod_, mount_));
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace farlet::pod
