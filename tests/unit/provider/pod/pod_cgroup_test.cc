#include "provider/pod/pod_cgroup.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

TEST_F(PodCgroupTest, WhatWasForgottenInItIsKilledAndNothingElse) {
  const fs::path path = Make("memory", "besteffort");
  const pid_t inside = ::fork();
  if (inside == 0) {
    ::pause();
    ::_exit(0);
  }
  std::ofstream(path / "container/cgroup.procs") << inside << "\n" << 1 << "\n";
  EXPECT_EQ(KillPodCgroup(node_, pod_, mount_), 1);
  int status = 0;
  ASSERT_EQ(::waitpid(inside, &status, 0), inside);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(KillPodCgroup(node_, pod_, mount_), 0) << "it has ended";
}

}  // namespace
}  // namespace farlet::pod
