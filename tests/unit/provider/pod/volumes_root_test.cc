// Real mounts, in a mount namespace of the test's own. Needs root; skipped otherwise.
#include "provider/pod/confined_fs.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/empty_dir.h"
#include "provider/pod/sub_path.h"
#include "provider/pod/volume_paths.h"
#include "provider/pod/volumes.h"
#include "runtime/base/file.h"
#include "runtime/base/mountinfo.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

bool EnterMountNamespace() {
  static const bool kEntered = ::unshare(CLONE_NEWNS) == 0 &&
                               ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return kEntered;
}

struct stat Stat(const std::filesystem::path& path) {
  struct stat info {};

  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info;
}

mode_t ModeOf(const std::filesystem::path& path) {
  return Stat(path).st_mode & 07777U;
}

bool IsTmpfs(const std::filesystem::path& path) {
  struct statfs info {};

  return ::statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

std::string Read(const std::filesystem::path& path) {
  const Result<std::string> content = ReadFile(path);
  EXPECT_TRUE(content) << content.error().message;
  return content ? *content : "";
}

class VolumesRootTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !EnterMountNamespace()) {
      GTEST_SKIP() << "needs root and a mount namespace of its own";
    }
    std::string folder =
        (std::filesystem::temp_directory_path() / "farlet-volumes-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    root_ = folder;
    node_.root_dir = root_;
  }

  void TearDown() override {
    if (!root_.empty()) {
      EXPECT_TRUE(UnmountBelow(root_));
      EXPECT_TRUE(RemoveTree(root_));
    }
  }

  EnvContext Context(const kube::Pod& pod) {
    lookup_ = objects_.Lookup();
    return {.pod = pod,
            .objects = lookup_,
            .pod_ips = {"10.0.0.7"},
            .host_ip = "192.0.2.1",
            .node_name = "node-a"};
  }

  Status SetUpAll(const kube::Pod& pod) {
    return SetUpVolumes(node_, Context(pod), [](const auto&) -> Result<TokenValue> {
      return TokenValue{"secret-token"};
    });
  }

  std::filesystem::path Dir(const kube::Pod& pod, size_t index = 0) const {
    return VolumeDirectory(node_, pod.meta.uid, pod.spec.volumes[index]);
  }

  std::filesystem::path root_;
  NodeContext node_;
  FakeObjects objects_;
  ObjectLookup lookup_;
};

Json WithVolumes(const char* volumes) {
  return {{"spec", {{"volumes", Json::parse(volumes)}}}};
}

TEST_F(VolumesRootTest, MemoryEmptyDirIsASizedTmpfsMountedOnce) {
  const kube::Pod pod = BuildPod(
      WithVolumes(R"([{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}])"));
  ASSERT_TRUE(SetUpAll(pod));
  ASSERT_TRUE(IsTmpfs(Dir(pod)));
  EXPECT_EQ(ModeOf(Dir(pod)), 01777U);

  struct statfs info {};

  ASSERT_EQ(::statfs(Dir(pod).c_str(), &info), 0);
  EXPECT_EQ(info.f_blocks * static_cast<uint64_t>(info.f_bsize), 1U << 20U);
  ASSERT_TRUE(WriteFileAtomic(Dir(pod) / "kept", "x", 0644));
  ASSERT_TRUE(SetUpAll(pod));
  EXPECT_EQ(Read(Dir(pod) / "kept"), "x");
  EXPECT_EQ(::umount2(Dir(pod).c_str(), 0), 0);
  EXPECT_FALSE(IsTmpfs(Dir(pod))) << "mounted more than once";
}

TEST_F(VolumesRootTest, SecretsAndTokensAreOnTmpfs) {
  objects_.PutSecret("s", {{"user", "cm9vdA=="}});
  const kube::Pod pod = BuildPod(WithVolumes(R"([
    {"name": "s", "secret": {"secretName": "s", "defaultMode": 256}},
    {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}},
        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}}])"));
  const Status made = SetUpAll(pod);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_TRUE(IsTmpfs(Dir(pod, 0)));
  EXPECT_TRUE(IsTmpfs(Dir(pod, 1)));
  EXPECT_EQ(Read(Dir(pod, 0) / "user"), "root");
  EXPECT_EQ(ModeOf(Dir(pod, 0) / "..data" / "user"), 0400U);
  EXPECT_EQ(Read(Dir(pod, 1) / "token"), "secret-token");
  EXPECT_EQ(Read(Dir(pod, 1) / "ns"), "shop");
  EXPECT_EQ(ModeOf(SecretsRoot(node_)) & 0007U, 0U) << "not for everybody on the node";
}

// Each mount would make every start of a container on the node dearer.
TEST_F(VolumesRootTest, SecretsOfAllPodsShareOneMount) {
  objects_.PutSecret("s", {{"user", "cm9vdA=="}});
  const Json volumes = WithVolumes(R"([{"name": "s", "secret": {"secretName": "s"}},
                                       {"name": "t", "secret": {"secretName": "s"}}])");
  kube::Pod pod = BuildPod(volumes);
  const auto mounts = [] { return ReadMountInfo().value().size(); };
  const size_t before = mounts();
  for (const char* uid : {"one", "two"}) {
    pod.meta.uid = uid;
    ASSERT_TRUE(SetUpAll(pod));
  }
  EXPECT_EQ(mounts(), before + 1);
  ASSERT_TRUE(RemovePodDirectory(node_, "one"));
  EXPECT_FALSE(std::filesystem::exists(SecretsDirectory(node_, "one")));
  EXPECT_EQ(Read(Dir(pod) / "user"), "root") << "that of another pod stays";
}

TEST_F(VolumesRootTest, SecretsComeBackWhenTheirMountIsGone) {
  objects_.PutSecret("s", {{"user", "cm9vdA=="}});
  const kube::Pod pod = BuildPod(WithVolumes(R"([{"name": "s", "secret": {"secretName": "s"}}])"));
  ASSERT_TRUE(SetUpAll(pod));
  ASSERT_EQ(::umount2(SecretsRoot(node_).c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(SetUpAll(pod));
  EXPECT_TRUE(IsTmpfs(Dir(pod)));
  EXPECT_EQ(Read(Dir(pod) / "user"), "root");
}

TEST_F(VolumesRootTest, FsGroupAndUserOwnFiles) {
  objects_.PutConfigMap("c", {{"a", "1"}});
  Json spec = WithVolumes(R"([
    {"name": "e", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}},
    {"name": "c", "configMap": {"name": "c", "items": [{"key": "a", "path": "deep/a"}]}},
    {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}])");
  spec["spec"]["securityContext"] = {{"fsGroup", 2000}, {"runAsUser", 1000}};
  const kube::Pod pod = BuildPod(spec);
  const Status made = SetUpAll(pod);
  ASSERT_TRUE(made) << made.error().message;
  for (const size_t i : {0U, 1U}) {
    EXPECT_EQ(Stat(Dir(pod, i)).st_gid, 2000U) << i;
    EXPECT_EQ(ModeOf(Dir(pod, i)) & 02777U, 02777U) << i;
  }
  const auto file = Dir(pod, 2) / "..data" / "deep" / "a";
  EXPECT_EQ(Stat(file).st_gid, 2000U);
  EXPECT_EQ(ModeOf(file), 0644U);
  EXPECT_EQ(ModeOf(file.parent_path()) & 02550U, 02550U);
  const auto token = Dir(pod, 3) / "..data" / "token";
  EXPECT_EQ(Stat(token).st_uid, 1000U);
  EXPECT_EQ(Stat(token).st_gid, 2000U);
  EXPECT_EQ(ModeOf(token), 0640U);
}

TEST_F(VolumesRootTest, SubPathsAreMadeAndBound) {
  const kube::Pod pod = BuildPod(WithVolumes(R"([{"name": "e", "emptyDir": {}}])"));
  ASSERT_TRUE(SetUpAll(pod));
  const auto target = root_ / "target";
  const Status bound = BindSubPath(Dir(pod), "a/b", target);
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_EQ(ModeOf(Dir(pod) / "a" / "b"), 0777U);
  ASSERT_TRUE(WriteFileAtomic(target / "x", "1", 0644));
  EXPECT_EQ(Read(Dir(pod) / "a" / "b" / "x"), "1");
  // A file this time, and what was mounted is replaced.
  ASSERT_TRUE(BindSubPath(Dir(pod), "a/b/x", target));
  EXPECT_EQ(Read(target), "1");
  ASSERT_TRUE(BindSubPath(Dir(pod), "a", target));
  EXPECT_EQ(Read(target / "b" / "x"), "1");
}

TEST_F(VolumesRootTest, SubPathsDoNotLeaveTheVolume) {
  const kube::Pod pod = BuildPod(WithVolumes(R"([{"name": "e", "emptyDir": {}}])"));
  ASSERT_TRUE(SetUpAll(pod));
  ASSERT_TRUE(MakeDirectories(root_ / "outside", 0755));
  ASSERT_TRUE(MakeDirectories(Dir(pod) / "inner", 0755));
  std::filesystem::create_directory_symlink(root_ / "outside", Dir(pod) / "absolute");
  std::filesystem::create_directory_symlink("../../../../../outside", Dir(pod) / "up");
  std::filesystem::create_directory_symlink("inner", Dir(pod) / "within");
  for (const char* path :
       {"absolute", "up", "absolute/made", "up/made", "../x", "/etc", "up/../.."}) {
    EXPECT_FALSE(BindSubPath(Dir(pod), path, root_ / "target")) << path;
  }
  EXPECT_TRUE(std::filesystem::is_empty(root_ / "outside"));
  EXPECT_TRUE(BindSubPath(Dir(pod), "within", root_ / "target"));
}

TEST_F(VolumesRootTest, SubPathOfAConfigMapFollowsItsLinks) {
  objects_.PutConfigMap("c", {{"a", "1"}});
  Json object = WithVolumes(R"([{"name": "c", "configMap": {"name": "c"}}])");
  object["spec"]["containers"] = Json::parse(R"json([{"name": "app", "image": "x", "volumeMounts": [
      {"name": "c", "mountPath": "/one", "subPath": "a"},
      {"name": "c", "mountPath": "/expr", "subPathExpr": "$(WHICH)"}]}])json");
  const kube::Pod pod = BuildPod(object);
  ASSERT_TRUE(SetUpAll(pod));
  const auto mounts =
      MakeMounts(node_, Context(pod), pod.spec.containers[0], 2, {{.name = "WHICH", .value = "a"}});
  ASSERT_TRUE(mounts) << mounts.error().message;
  ASSERT_EQ(mounts->size(), 4U);
  EXPECT_EQ(Read((*mounts)[0].host_path), "1");
  EXPECT_EQ(Read((*mounts)[1].host_path), "1");
  EXPECT_TRUE((*mounts)[0].readonly);
  EXPECT_EQ((*mounts)[2].container_path, "/etc/hosts");
  EXPECT_EQ((*mounts)[3].container_path, "/dev/termination-log");
  EXPECT_EQ(ModeOf((*mounts)[3].host_path), 0666U);
}

TEST_F(VolumesRootTest, RemovalUnmountsAndDeletesAndRepeats) {
  objects_.PutSecret("s", {{"user", "cm9vdA=="}});
  const kube::Pod pod = BuildPod(WithVolumes(R"([
    {"name": "e", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}},
    {"name": "s", "secret": {"secretName": "s"}}])"));
  ASSERT_TRUE(SetUpAll(pod));
  ASSERT_TRUE(MakeDirectories(root_ / "outside", 0755));
  ASSERT_TRUE(WriteFileAtomic(root_ / "outside" / "kept", "x", 0644));
  std::filesystem::create_directory_symlink(root_ / "outside", Dir(pod) / "link");
  ASSERT_TRUE(
      BindSubPath(Dir(pod, 1), "sub", SubPathTarget(node_, pod.meta.uid, {.name = "m"}, "app", 0)));
  // Mounted over, and a name that mountinfo has to escape.
  ASSERT_TRUE(MakeMemoryFolder(Dir(pod) / "with space", {}, 0));
  ASSERT_TRUE(MakeMemoryFolder(Dir(pod, 1) / "inner", {}, 0));
  const Status removed = RemovePodDirectory(node_, pod.meta.uid);
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(std::filesystem::exists(PodDirectory(node_, pod.meta.uid)));
  EXPECT_FALSE(std::filesystem::exists(SecretsDirectory(node_, pod.meta.uid)));
  EXPECT_EQ(Read(root_ / "outside" / "kept"), "x");
  EXPECT_TRUE(RemovePodDirectory(node_, pod.meta.uid));
}

TEST_F(VolumesRootTest, RemoveTreeStopsAtMounts) {
  ASSERT_TRUE(MakeDirectories(root_ / "tree" / "sub", 0755));
  ASSERT_TRUE(MakeMemoryFolder(root_ / "tree" / "sub" / "mounted", {}, 0));
  ASSERT_TRUE(WriteFileAtomic(root_ / "tree" / "sub" / "mounted" / "kept", "x", 0644));
  const Status removed = RemoveTree(root_ / "tree");
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().message, HasSubstr("mounted"));
  EXPECT_EQ(Read(root_ / "tree" / "sub" / "mounted" / "kept"), "x");
}

}  // namespace
}  // namespace farlet::pod
