#include "provider/pod/volumes.h"

#include "provider/pod/atomic_writer.h"
#include "provider/pod/confined_fs.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/empty_dir.h"
#include "provider/pod/etc_hosts.h"
#include "provider/pod/projected_volume.h"
#include "provider/pod/volume_paths.h"
#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class VolumesTest : public testing::Test {
 protected:
  VolumesTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "farlet-files-XXXXXX").string();
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    root_ = folder;
    node_.root_dir = root_;
    EXPECT_TRUE(MakeDirectories(root_ / "volume", 0755));
  }

  ~VolumesTest() override { EXPECT_TRUE(RemoveTree(root_)); }

  EnvContext Context(const kube::Pod& pod) {
    lookup_ = objects_.Lookup();
    return {.pod = pod, .objects = lookup_, .pod_ips = {"10.0.0.7"}, .node_name = "node-a"};
  }

  Result<Payload> PayloadOf(const char* volume) {
    const kube::Pod pod = BuildPod({{"spec", {{"volumes", Json::array({Json::parse(volume)})}}}});
    return MakePayload(std::get<kube::ProjectedVolume>(pod.spec.volumes[0].source), Context(pod),
                       tokens_);
  }

  std::string Read(const std::filesystem::path& path) {
    const Result<std::string> content = ReadFile(root_ / path);
    EXPECT_TRUE(content) << content.error().message;
    return content ? *content : "";
  }

  Status Write(const Payload& payload) {
    return WriteAtomically(root_ / "volume", payload, std::nullopt);
  }

  std::string Version() { return std::filesystem::read_symlink(root_ / "volume" / "..data"); }

  std::filesystem::path root_;
  NodeContext node_;
  FakeObjects objects_;
  ObjectLookup lookup_;
  TokenLookup tokens_ = [](const auto&) -> Result<TokenValue> { return TokenValue{"t"}; };
};

TEST_F(VolumesTest, AtomicWriterLayout) {
  ASSERT_TRUE(Write({{"a", {.content = "1"}}, {"dir/b", {.content = "2", .mode = 0400}}}));
  EXPECT_EQ(Read("volume/a"), "1");
  EXPECT_EQ(Read("volume/dir/b"), "2");
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "volume/a"), "..data/a");
  EXPECT_EQ(std::filesystem::read_symlink(root_ / "volume/dir"), "..data/dir");
  EXPECT_THAT(Version(),
              testing::MatchesRegex(
                  "\\.\\.[0-9]{4}_[0-9]{2}_[0-9]{2}_[0-9]{2}_[0-9]{2}_[0-9]{2}\\.[0-9]+"));

  struct stat info {};

  ASSERT_EQ(::stat((root_ / "volume/dir/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0400U);
}

TEST_F(VolumesTest, AtomicWriterWritesOnlyWhatChanged) {
  ASSERT_TRUE(Write({{"a", {.content = "1"}}, {"b", {.content = "2"}}}));
  const std::string first = Version();
  ASSERT_TRUE(Write({{"a", {.content = "1"}}, {"b", {.content = "2"}}}));
  EXPECT_EQ(Version(), first);
  ASSERT_TRUE(Write({{"a", {.content = "1"}}, {"c/d", {.content = "3"}}}));
  EXPECT_NE(Version(), first);
  EXPECT_FALSE(std::filesystem::exists(root_ / "volume" / first)) << "the old version stays";
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(root_ / "volume/b")));
  EXPECT_EQ(Read("volume/c/d"), "3");
  ASSERT_TRUE(Write({{"a", {.content = "longer than before"}}}));
  EXPECT_EQ(Read("volume/a"), "longer than before");
  ASSERT_TRUE(Write({}));
  EXPECT_FALSE(std::filesystem::exists(root_ / "volume/a"));
}

TEST_F(VolumesTest, AtomicWriterRepairs) {
  ASSERT_TRUE(Write({{"a", {.content = "1"}}}));
  // Died between publishing and linking, and between linking and renaming.
  std::filesystem::remove(root_ / "volume/a");
  std::filesystem::create_symlink("nowhere", root_ / "volume/..data_tmp");
  ASSERT_TRUE(Write({{"a", {.content = "1"}}}));
  EXPECT_EQ(Read("volume/a"), "1");
  // The version is gone.
  std::filesystem::remove_all(root_ / "volume" / Version());
  ASSERT_TRUE(Write({{"a", {.content = "1"}}}));
  EXPECT_EQ(Read("volume/a"), "1");
}

TEST_F(VolumesTest, AtomicWriterRefusesBadPaths) {
  for (const std::string& path :
       {std::string(), std::string("/a"), std::string("../a"), std::string("a/../b"),
        std::string("..data"), std::string("..x/y"), std::string("."), std::string(300, 'x'),
        std::string(5000, '/')}) {
    const Status written = Write({{path, {.content = "x"}}});
    ASSERT_FALSE(written) << path;
    EXPECT_EQ(written.error().code, Code::kInvalidArgument);
  }
  EXPECT_TRUE(Write({{"a..b", {.content = "x"}}, {"c/..d", {.content = "y"}}}));
}

TEST_F(VolumesTest, PayloadOfConfigMapsAndSecrets) {
  objects_.Put(kube::ObjectKind::kConfigMap, "c",
               {{"data", {{"a", "1"}}}, {"binaryData", {{"b", "AAE="}}}});
  auto payload = PayloadOf(R"({"name": "v", "configMap": {"name": "c", "defaultMode": 292}})");
  ASSERT_TRUE(payload) << payload.error().message;
  EXPECT_EQ(payload->at("a").content, "1");
  EXPECT_EQ(payload->at("b").content, std::string("\0\1", 2));
  EXPECT_EQ(payload->at("a").mode, 0444U);
  payload = PayloadOf(
      R"({"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "x/y", "mode": 256}]}})");
  ASSERT_TRUE(payload);
  EXPECT_EQ(payload->size(), 1U);
  EXPECT_EQ(payload->at("x/y").mode, 0400U);
}

struct PayloadError {
  const char* volume;
  Code code;
  const char* message;
};

TEST_F(VolumesTest, PayloadErrors) {
  objects_.PutConfigMap("c", {{"a", "1"}});
  objects_.PutSecret("s", {{"a", "MQ=="}});
  objects_.PutSecret("bad", {{"a", "*"}});
  objects_.Hide(kube::ObjectKind::kSecret, "later");
  for (const PayloadError& test :
       {PayloadError{R"({"name": "v", "configMap": {"name": "x"}})", Code::kNotFound,
                     "configmap \"x\" not found"},
        PayloadError{R"({"name": "v", "secret": {"secretName": "x"}})", Code::kNotFound,
                     "secret \"x\" not found"},
        PayloadError{R"({"name": "v", "secret": {"secretName": "later"}})", Code::kUnavailable,
                     "not read yet"},
        PayloadError{R"({"name": "v", "secret": {"secretName": "bad"}})", Code::kInvalidArgument,
                     "secret \"bad\": data[a]: is not base64"},
        PayloadError{
            R"({"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}})",
            Code::kNotFound, "configmap references non-existent config key: k"},
        PayloadError{
            R"({"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}})",
            Code::kNotFound, "references non-existent secret key: k"},
        PayloadError{R"({"name": "v", "projected": {"sources": [{"secret": {"name": "later"}},
                            {"secret": {"name": "x"}}, {"configMap": {"name": "y"}}]}})",
                     Code::kNotFound, "[secret \"x\" not found, configmap \"y\" not found]"},
        PayloadError{R"({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}})",
                     Code::kInvalidArgument,
                     "projected source clusterTrustBundle is not supported"}}) {
    const auto payload = PayloadOf(test.volume);
    ASSERT_FALSE(payload) << test.volume;
    EXPECT_EQ(payload.error().code, test.code) << test.volume;
    EXPECT_EQ(payload.error().message, test.message);
  }
}

TEST_F(VolumesTest, OptionalObjectsMakeEmptyVolumes) {
  objects_.PutConfigMap("c", {{"a", "1"}});
  auto payload = PayloadOf(R"({"name": "v", "secret": {"secretName": "x", "optional": true}})");
  ASSERT_TRUE(payload);
  EXPECT_TRUE(payload->empty());
  payload = PayloadOf(
      R"({"name": "v", "configMap": {"name": "c", "optional": true, "items": [{"key": "k", "path": "p"}]}})");
  ASSERT_TRUE(payload);
  EXPECT_TRUE(payload->empty());
}

TEST_F(VolumesTest, LaterSourcesWin) {
  objects_.PutConfigMap("c", {{"a", "config"}});
  objects_.PutSecret("s", {{"a", "c2VjcmV0"}});
  const auto payload = PayloadOf(
      R"({"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}})");
  ASSERT_TRUE(payload);
  EXPECT_EQ(payload->at("a").content, "secret");
}

TEST_F(VolumesTest, EmptyDirAndConfigMapOnDisk) {
  objects_.PutConfigMap("c", {{"a", "1"}});
  Json object = {{"spec", {{"volumes", Json::parse(R"([{"name": "e", "emptyDir": {}},
      {"name": "c", "configMap": {"name": "c"}}])")}}}};
  object["spec"]["containers"] = Json::parse(R"([{"name": "app", "image": "x", "volumeMounts": [
      {"name": "c", "mountPath": "/etc/conf"}, {"name": "e", "mountPath": "/etc/conf/sub/dir"}]}])");
  const kube::Pod pod = BuildPod(object);
  const ::mode_t old = ::umask(077);
  Status made = SetUpVolumes(node_, Context(pod), tokens_);
  ::umask(old);
  ASSERT_TRUE(made) << made.error().message;
  const auto empty = VolumeDirectory(node_, "uid-1", pod.spec.volumes[0]);
  EXPECT_EQ(empty, root_ / "pods/uid-1/volumes/kubernetes.io~empty-dir/e");

  struct stat info {};

  ASSERT_EQ(::stat(empty.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0777U);
  const auto config = VolumeDirectory(node_, "uid-1", pod.spec.volumes[1]);
  EXPECT_TRUE(std::filesystem::is_directory(config / "sub/dir")) << "nested mount point";
  // What the container did to its folder stays.
  ASSERT_EQ(::chmod(empty.c_str(), 0700), 0);
  made = SetUpVolumes(node_, Context(pod), tokens_);
  ASSERT_TRUE(made);
  ASSERT_EQ(::stat(empty.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0700U);
  // A change of the object arrives.
  objects_.PutConfigMap("c", {{"a", "2"}});
  ASSERT_TRUE(SetUpVolumes(node_, Context(pod), tokens_));
  EXPECT_EQ(Read("pods/uid-1/volumes/kubernetes.io~configmap/c/a"), "2");
  EXPECT_TRUE(RemovePodDirectory(node_, "uid-1"));
  EXPECT_FALSE(std::filesystem::exists(root_ / "pods/uid-1"));
}

TEST_F(VolumesTest, SetUpErrorsNameTheVolume) {
  objects_.Hide(kube::ObjectKind::kConfigMap, "later");
  const kube::Pod pod = BuildPod({{"spec", {{"volumes", Json::parse(R"([
      {"name": "a", "configMap": {"name": "later"}}, {"name": "b", "configMap": {"name": "x"}}])")}}}});
  const Status made = SetUpVolumes(node_, Context(pod), tokens_);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message,
            "MountVolume.SetUp failed for volume \"b\" : configmap \"x\" not found");
  objects_.PutConfigMap("x", Json::object());
  const Status waiting = SetUpVolumes(node_, Context(pod), tokens_);
  ASSERT_FALSE(waiting);
  EXPECT_EQ(waiting.error().code, Code::kUnavailable);
}

TEST_F(VolumesTest, MountErrors) {
  Json object = {{"spec", {{"volumes", Json::parse(R"([{"name": "e", "emptyDir": {}}])")}}}};
  const auto error_of = [&](const char* mount) {
    object["spec"]["containers"] = {
        {{"name", "app"}, {"image", "x"}, {"volumeMounts", Json::array({Json::parse(mount)})}}};
    const kube::Pod pod = BuildPod(object);
    EXPECT_TRUE(SetUpVolumes(node_, Context(pod), tokens_));
    const auto mounts = MakeMounts(node_, Context(pod), pod.spec.containers[0], 0,
                                   {{.name = "EMPTY", .value = ""}});
    EXPECT_FALSE(mounts) << mount;
    return mounts ? "" : mounts.error().message;
  };
  EXPECT_EQ(error_of(R"({"name": "x", "mountPath": "/m"})"),
            "cannot find volume \"x\" to mount into container \"app\"");
  EXPECT_EQ(
      error_of(R"json({"name": "e", "mountPath": "/m", "subPathExpr": "$(B)/$(A)/$(EMPTY)"})json"),
      "missing value for A, B, EMPTY");
  EXPECT_EQ(error_of(R"({"name": "e", "mountPath": "/m", "subPath": "/x"})"),
            "error SubPath `/x` must not be an absolute path");
  EXPECT_EQ(error_of(R"({"name": "e", "mountPath": "/m", "subPath": "a/../b"})"),
            "unable to provision SubPath `a/../b`: must not contain '..'");
  EXPECT_EQ(error_of(R"({"name": "e", "mountPath": "/m", "mountPropagation": "Odd"})"),
            "invalid MountPropagation mode: \"Odd\"");
}

TEST_F(VolumesTest, MountsOfAContainer) {
  Json object = {{"spec", {{"volumes", Json::parse(R"([{"name": "e", "emptyDir": {}}])")}}}};
  object["spec"]["containers"] = Json::parse(R"([{"name": "app", "image": "x", "volumeMounts": [
      {"name": "e", "mountPath": "data", "readOnly": true, "mountPropagation": "HostToContainer"},
      {"name": "e", "mountPath": "/etc/hosts"}]}])");
  const kube::Pod pod = BuildPod(object);
  ASSERT_TRUE(SetUpVolumes(node_, Context(pod), tokens_));
  const auto mounts = MakeMounts(node_, Context(pod), pod.spec.containers[0], 10, {});
  ASSERT_TRUE(mounts);
  ASSERT_EQ(mounts->size(), 3U) << "the container's own /etc/hosts";
  EXPECT_EQ((*mounts)[0].container_path, "/data");
  EXPECT_TRUE((*mounts)[0].readonly);
  EXPECT_EQ((*mounts)[0].propagation, cri::MountPropagation::kHostToContainer);
  EXPECT_EQ((*mounts)[2].host_path, root_ / "pods/uid-1/containers/app/0000000a");
}

TEST(HostsFileTest, Content) {
  EXPECT_EQ(
      HostsFile({"10.0.0.7", "fd00::7"}, {.name = "web", .domain = "sub.shop.svc.cluster.local"},
                {{.ip = "1.2.3.4", .hostnames = {"a", "b"}}}),
      "# Kubernetes-managed hosts file.\n"
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "fe00::0\tip6-mcastprefix\n"
      "fe00::1\tip6-allnodes\n"
      "fe00::2\tip6-allrouters\n"
      "10.0.0.7\tweb.sub.shop.svc.cluster.local\tweb\n"
      "fd00::7\tweb.sub.shop.svc.cluster.local\tweb\n"
      "\n"
      "# Entries added by HostAliases.\n"
      "1.2.3.4\ta\tb\n");
  EXPECT_THAT(HostsFile({"10.0.0.7"}, {.name = "web"}, {}), testing::EndsWith("\n10.0.0.7\tweb\n"));
  EXPECT_EQ(HostNetworkHostsFile("127.0.0.1 x\n", {}),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n");
}

class TerminationMessageTest : public VolumesTest {
 protected:
  std::string Message() { return ReadTerminationMessage(node_, BuildPod(), status_); }

  void WriteLog(const std::string& text) {
    status_.log_path = root_ / "0.log";
    ASSERT_TRUE(WriteFileAtomic(status_.log_path, text, 0644));
  }

  void WriteMessage(const std::string& text) {
    const auto path = TerminationLog(node_, "uid-1", "app", 3);
    ASSERT_TRUE(MakeDirectories(path.parent_path(), 0755));
    ASSERT_TRUE(WriteFileAtomic(path, text, 0666));
  }

  cri::ContainerStatus status_ = [] {
    cri::ContainerStatus status;
    status.metadata.name = "app";
    status.exit_code = 1;
    status.annotations = {{kRestartCountAnnotation, "3"},
                          {kTerminationPathAnnotation, "/dev/termination-log"},
                          {kTerminationPolicyAnnotation, "FallbackToLogsOnError"}};
    return status;
  }();
};

TEST_F(TerminationMessageTest, TheFileFirst) {
  WriteLog("2026-11-22T09:41:54.5Z stdout F from the log\n");
  WriteMessage("from the file");
  EXPECT_EQ(Message(), "from the file");
  WriteMessage("");
  EXPECT_EQ(Message(), "from the log\n");
  status_.exit_code = 0;
  EXPECT_EQ(Message(), "");
  status_.exit_code = 1;
  status_.annotations[kTerminationPolicyAnnotation] = "File";
  EXPECT_EQ(Message(), "");
}

TEST_F(TerminationMessageTest, IsBoundedAndFollowsNoLink) {
  WriteMessage(std::string(10'000, 'x') + "end");
  EXPECT_EQ(Message().size(), 4096U);
  EXPECT_THAT(Message(), testing::EndsWith("end"));
  const auto path = TerminationLog(node_, "uid-1", "app", 3);
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/etc/passwd", path);
  EXPECT_EQ(Message(), "");
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(Message(), "");
}

TEST_F(TerminationMessageTest, TheEndOfTheLog) {
  std::string log;
  for (int i = 0; i < 100; ++i) {
    log += "T stdout F line " + std::to_string(i) + "\n";
  }
  WriteLog(log + "T stderr P part\nT stderr F ial\n\nmalformed\nT stdout\n");
  const std::string message = Message();
  EXPECT_THAT(message, testing::StartsWith("line 25\n"));
  EXPECT_THAT(message, testing::EndsWith("line 99\npartial\n"));
  WriteLog("T stdout F " + std::string(5000, 'y') + "\n");
  EXPECT_EQ(Message().size(), 2048U);
}

TEST_F(VolumesTest, RemoveTreeOfDeepAndOddTrees) {
  const auto base = root_ / "deep";
  ASSERT_TRUE(MakeDirectories(base, 0755));
  UniqueFd current(::open(base.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(::mkdirat(current.get(), "d", 0755), 0);
    ASSERT_EQ(::mkdirat(current.get(), ".deep-1", 0755), 0);
    ASSERT_EQ(::symlinkat("/", current.get(), "link"), 0);
    current = UniqueFd(::openat(current.get(), "d", O_RDONLY | O_DIRECTORY));
    ASSERT_TRUE(current.valid());
  }
  current.Close();
  const Status removed = RemoveTree(base);
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(std::filesystem::exists(base));
  EXPECT_TRUE(RemoveTree(base));
  EXPECT_TRUE(RemoveTree(root_ / "nowhere" / "at all"));
}

TEST_F(VolumesTest, PodDirectoriesAreOnlyFoundByUid) {
  for (const char* uid : {"", "..", ".", "a/../../x", "/etc"}) {
    EXPECT_FALSE(RemovePodDirectory(node_, uid)) << uid;
  }
}

TEST(MemoryVolumeSizeTest, TheSmallestLimit) {
  const auto size = [](const char* limit, const char* volume, const char* node) {
    const kube::Pod pod = BuildPod(
        {{"spec",
          {{"containers", Json::array({{{"name", "app"},
                                        {"image", "x"},
                                        {"resources", {{"limits", {{"memory", limit}}}}}}})}}}});
    kube::EmptyDirVolume empty;
    empty.size_limit = *kube::Quantity::Parse(volume);
    return MemoryVolumeSize(empty, pod.spec, {{"memory", *kube::Quantity::Parse(node)}});
  };
  EXPECT_EQ(size("0", "0", "0"), 0);
  EXPECT_EQ(size("0", "0", "1k"), 1000);
  EXPECT_EQ(size("500", "0", "1k"), 500);
  EXPECT_EQ(size("500", "100", "1k"), 100);
  EXPECT_EQ(size("500", "700", "1k"), 500);
}

}  // namespace
}  // namespace farlet::pod
