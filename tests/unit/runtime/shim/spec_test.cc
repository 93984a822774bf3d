#include "runtime/base/file.h"
#include "runtime/shim/spec/container_spec.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/spec/resources.h"
#include "tests/unit/runtime/shim/spec_text.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace farlet::shim {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A host that has only what it is told.
class FakeFacts final : public HostFacts {
 public:
  Result<PathFacts> At(const std::filesystem::path& path) const override {
    const auto found = paths.find(path.string());
    if (found == paths.end()) {
      return NotFound("stat " + path.string() + ": No such file or directory");
    }
    return found->second;
  }

  Result<std::string> MountedRoot(const std::filesystem::path& path) const override {
    const auto found = roots.find(path.string());
    if (found == roots.end()) {
      return NotFound("no mount point");
    }
    return found->second;
  }

  bool HasMountsBelow(const std::filesystem::path& path) const override {
    return mounts_below.contains(path.string());
  }

  void Folder(const std::string& path, mode_t mode = 0755, gid_t gid = 0) {
    paths[path] = {.type = PathFacts::Type::kDirectory, .mode = mode, .gid = gid};
  }

  void File(const std::string& path) { paths[path] = {.type = PathFacts::Type::kFile}; }

  void Tmpfs(const std::string& path, uint64_t bytes) {
    paths[path] = {.type = PathFacts::Type::kDirectory,
                   .mode = 01777,
                   .tmpfs = true,
                   .filesystem_bytes = bytes};
    roots[path] = "/";
  }

  void Device(const std::string& path, uint64_t major, uint64_t minor) {
    paths[path] = {.type = PathFacts::Type::kDevice,
                   .mode = 0666,
                   .device_major = major,
                   .device_minor = minor};
  }

  std::map<std::string, PathFacts> paths;
  std::map<std::string, std::string> roots;
  std::set<std::string> mounts_below;
};

FakeFacts PodHost() {
  FakeFacts facts;
  const std::string pod = "/var/lib/farlet/pods/u1/";
  const std::string volumes = pod + "volumes/";
  facts.Folder(volumes + "kubernetes.io~empty-dir/scratch", 02777, 2000);
  facts.Tmpfs(volumes + "kubernetes.io~empty-dir/cache", 64 << 20);
  facts.Tmpfs(volumes + "kubernetes.io~empty-dir/shm", 64 << 20);
  facts.Folder(volumes + "kubernetes.io~configmap/conf");
  facts.Folder(volumes + "kubernetes.io~secret/keys");
  facts.File(volumes + "kubernetes.io~secret/keys/tls.crt");
  facts.Folder(volumes + "kubernetes.io~projected/kube-api-access-x");
  facts.Folder(pod + "volume-subpaths/scratch/app/0");
  facts.roots[pod + "volume-subpaths/scratch/app/0"] =
      "/lib/farlet/pods/u1/volumes/kubernetes.io~empty-dir/scratch/deep/er";
  facts.Folder(pod + "volume-subpaths/cache/app/1");
  facts.roots[pod + "volume-subpaths/cache/app/1"] = "/part";
  facts.File(pod + "volume-subpaths/conf/app/2");
  facts.roots[pod + "volume-subpaths/conf/app/2"] =
      "/lib/farlet/pods/u1/volumes/kubernetes.io~configmap/conf/..1/key";
  facts.File(pod + "etc-hosts");
  facts.File(pod + "containers/app/00000000");
  facts.File("/var/lib/containerd/sandboxes/s1/hostname");
  facts.File("/var/lib/containerd/sandboxes/s1/resolv.conf");
  facts.Folder("/data");
  facts.Device("/dev/fuse", 10, 229);
  facts.Device("/dev/sda", 8, 0);
  return facts;
}

std::filesystem::path Data(const std::string& name) {
  return std::filesystem::path(FARLET_TEST_DATA) / "shim" / name;
}

Document Parse(const json& spec) {
  return *ParseDocument(spec.dump());
}

// To write the golden files anew: FARLET_WRITE_GOLDEN=1 in the environment, then look at the diff.
class GoldenTest : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenTest, TranslatesAsBefore) {
  const std::string name = GetParam();
  const auto text = ReadFile(Data(name + ".json"));
  ASSERT_TRUE(text);
  const auto plan = TranslateContainer(*ParseDocument(*text), "c1", PodHost());
  ASSERT_TRUE(plan) << plan.error().message;
  const std::string described = Describe(*plan);
  if (::getenv("FARLET_WRITE_GOLDEN") != nullptr) {
    ASSERT_TRUE(WriteFileAtomic(Data(name + ".golden"), described, 0644));
  }
  const auto golden = ReadFile(Data(name + ".golden"));
  ASSERT_TRUE(golden);
  EXPECT_EQ(described, *golden);
}

INSTANTIATE_TEST_SUITE_P(Specs,
                         GoldenTest,
                         ::testing::Values("cri-container", "ctr-container", "volumes"));

json Minimal() {
  return json::parse(R"({"process": {"args": ["x"], "cwd": "/"},
                         "linux": {"namespaces": [{"type": "pid"}]}})");
}

std::string Refusal(const json& spec) {
  const auto plan = TranslateContainer(Parse(spec), "c1", PodHost());
  return plan ? "accepted" : plan.error().message;
}

TEST(ContainerSpecTest, NamesWhatDoesNotFit) {
  EXPECT_EQ(Refusal(Minimal()), "accepted");
  json spec = Minimal();
  spec["process"]["args"] = json::array({"x", 3});
  EXPECT_EQ(Refusal(spec), "config.json: process.args[1]: not a string");
  spec = Minimal();
  spec["process"].erase("args");
  EXPECT_EQ(Refusal(spec), "config.json: process.args: empty");
  spec = Minimal();
  spec["process"]["user"] = {{"uid", -1}};
  EXPECT_EQ(Refusal(spec),
            "config.json: process.user.uid: not a whole number from 0 to 4294967295");
  spec = Minimal();
  spec["process"]["env"] = {std::string("A=\0b", 4)};
  EXPECT_EQ(Refusal(spec), "config.json: process.env[0]: too long, or with a zero byte");
  spec = Minimal();
  spec["mounts"] = "none";
  EXPECT_EQ(Refusal(spec), "config.json: mounts: not a list, or too long");
  spec = Minimal();
  spec["mounts"] = {{{"destination", "/x"}, {"type", "nfs"}, {"source", "a:/b"}}};
  EXPECT_EQ(Refusal(spec), "config.json: mounts[0].type: nfs: a VM cannot mount this");
}

TEST(ContainerSpecTest, AVolumeMayBeTheSharedMemory) {
  const auto mount = [](const std::string& source) {
    json spec = Minimal();
    spec["mounts"] = {{{"destination", "/dev/shm"}, {"type", "bind"}, {"source", source}}};
    const auto plan = TranslateContainer(Parse(spec), "c1", PodHost());
    EXPECT_TRUE(plan) << plan.error().message;
    return plan ? plan->request.mounts(0) : guest::v1::Mount();
  };
  EXPECT_TRUE(mount("/run/containerd/io.containerd.grpc.v1.cri/sandboxes/s1/shm").shm());
  const std::string volumes = "/var/lib/farlet/pods/u1/volumes/kubernetes.io~empty-dir/";
  for (const char* name : {"cache", "shm"}) {
    const guest::v1::Mount volume = mount(volumes + name);
    EXPECT_FALSE(volume.shm());
    EXPECT_EQ(volume.empty_dir().name(), name);
    EXPECT_EQ(volume.empty_dir().size_bytes(), 64u << 20);
  }
  EXPECT_FALSE(mount("/data").shm());
}

TEST(ContainerSpecTest, UlimitsOfThePodStandInsteadOfTheRuntimes) {
  json spec = Minimal();
  spec["process"]["rlimits"] = {{{"type", "RLIMIT_NOFILE"}, {"soft", 1024}, {"hard", 1024}},
                                {{"type", "RLIMIT_CORE"}, {"soft", 0}, {"hard", 0}}};
  spec["annotations"]["farlet.dev/ulimits"] = "memlock=unlimited,nofile=65535:1048576";
  const auto plan = TranslateContainer(Parse(spec), "c1", PodHost());
  ASSERT_TRUE(plan) << plan.error().message;
  std::vector<std::string> rlimits;
  for (const auto& limit : plan->request.process().rlimits()) {
    rlimits.push_back(fmt::format("{} {} {}", limit.type(), limit.soft(), limit.hard()));
  }
  EXPECT_THAT(rlimits, ElementsAre("RLIMIT_NOFILE 65535 1048576", "RLIMIT_CORE 0 0",
                                   fmt::format("RLIMIT_MEMLOCK {} {}", UINT64_MAX, UINT64_MAX)));
  spec["annotations"]["farlet.dev/ulimits"] = "files=1";
  EXPECT_EQ(Refusal(spec),
            "config.json: annotations.farlet.dev/ulimits: \"files\" is the name of no ulimit");
}

TEST(ContainerSpecTest, RefusesWhatIsTheHosts) {
  json spec = Minimal();
  spec["hooks"] = {{"prestart", {{{"path", "/bin/hook"}}}}};
  EXPECT_THAT(Refusal(spec), HasSubstr("hooks.prestart: prestart hooks run on the host"));
  spec = Minimal();
  spec["linux"]["namespaces"] = json::array();
  EXPECT_THAT(Refusal(spec), HasSubstr("cannot use the host's pid namespace"));
  const auto bind = [](const std::string& source) {
    json mounted = Minimal();
    mounted["mounts"] = {{{"destination", "/x"}, {"type", "bind"}, {"source", source}}};
    return mounted;
  };
  EXPECT_THAT(Refusal(bind("/proc/1")), HasSubstr("cannot have this of its host"));
  EXPECT_THAT(Refusal(bind("/sys/fs/cgroup")), HasSubstr("cannot have this of its host"));
  EXPECT_THAT(Refusal(bind("/data/../dev")), HasSubstr("cannot have this of its host"));
  EXPECT_THAT(Refusal(bind("/dev/sda")), HasSubstr("cannot have a device of its host"));
  EXPECT_THAT(Refusal(bind("/missing")), HasSubstr("stat /missing"));
  EXPECT_THAT(Refusal(bind("relative")), HasSubstr("not an absolute path"));
  EXPECT_EQ(Refusal(bind("/dev/fuse")), "accepted");
  EXPECT_EQ(Refusal(bind("/proc")), "accepted");
  spec = Minimal();
  spec["linux"]["devices"] = {{{"path", "/dev/sda"}, {"type", "b"}, {"major", 8}, {"minor", 0}}};
  EXPECT_THAT(Refusal(spec), HasSubstr("privileged_without_host_devices"));
}

std::vector<std::string> Options(const ContainerPlan& plan) {
  const auto& options = plan.request.mounts(0).options();
  return {options.begin(), options.end()};
}

TEST(ContainerSpecTest, ReadOnlyEndsWhereSomethingElseIsMounted) {
  FakeFacts facts = PodHost();
  const auto translate = [&](const json& options) {
    json spec = Minimal();
    spec["mounts"] = {{{"destination", "/d"}, {"source", "/data"}, {"options", options}}};
    return *TranslateContainer(Parse(spec), "c1", facts);
  };
  ContainerPlan plan = translate({"rbind", "ro"});
  EXPECT_THAT(Options(plan), ElementsAre("rbind", "ro"));
  EXPECT_EQ(plan.shares[0].readonly, true);
  EXPECT_EQ(plan.shares[0].writable_below, false);
  facts.mounts_below.insert("/data");
  plan = translate({"rbind", "ro"});
  EXPECT_THAT(Options(plan), ElementsAre("rbind"));
  EXPECT_EQ(plan.shares[0].readonly, true);
  EXPECT_EQ(plan.shares[0].writable_below, true);
  plan = translate({"rbind", "rro"});
  EXPECT_THAT(Options(plan), ElementsAre("rbind", "rro"));
  EXPECT_EQ(plan.shares[0].readonly, true);
  EXPECT_EQ(plan.shares[0].writable_below, false);
  plan = translate({"rbind"});
  EXPECT_EQ(plan.shares[0].readonly, false);
  EXPECT_EQ(plan.shares[0].writable_below, false);
}

TEST(ContainerSpecTest, JoinsThePodsPidNamespace) {
  json spec = Minimal();
  spec["linux"]["namespaces"] = {{{"type", "pid"}, {"path", "/proc/123/ns/pid"}}};
  const auto plan = TranslateContainer(Parse(spec), "c1", PodHost());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->request.namespaces().pid(), guest::v1::Namespaces::SANDBOX);
}

TEST(PodSpecTest, ReadsMembershipAndSize) {
  const json spec = json::parse(R"({
    "hostname": "web",
    "annotations": {"io.kubernetes.cri.container-type": "sandbox",
                    "io.kubernetes.cri.sandbox-id": "s1",
                    "io.kubernetes.cri.sandbox-memory": "536870912",
                    "io.kubernetes.cri.sandbox-cpu-quota": "150000",
                    "io.kubernetes.cri.sandbox-cpu-period": "100000",
                    "io.kubernetes.cri.sandbox-cpu-shares": "512"},
    "linux": {"cgroupsPath": "/kubepods/podx/s1",
              "sysctl": {"net.core.somaxconn": "1024"},
              "namespaces": [{"type": "pid"}, {"type": "ipc"},
                             {"type": "network", "path": "/var/run/netns/cni-1"}]}})");
  const auto pod = ReadPodSpec(Parse(spec), "s1");
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(pod->kind, Membership::Kind::kSandbox);
  EXPECT_EQ(pod->hostname, "web");
  EXPECT_EQ(pod->netns, "/var/run/netns/cni-1");
  EXPECT_EQ(pod->cgroups_path, "/kubepods/podx/s1");
  EXPECT_EQ(pod->sysctls.at("net.core.somaxconn"), "1024");
  EXPECT_EQ(pod->memory_limit, 536870912U);
  EXPECT_EQ(pod->MilliCpus(), 1500U);

  json changed = spec;
  changed["annotations"]["io.kubernetes.cri.sandbox-cpu-quota"] = "-1";
  EXPECT_EQ(ReadPodSpec(Parse(changed), "s1")->MilliCpus(), 500U);
  changed["annotations"]["io.kubernetes.cri.sandbox-cpu-shares"] = "2";
  EXPECT_EQ(ReadPodSpec(Parse(changed), "s1")->MilliCpus(), 0U);
  changed["annotations"]["io.kubernetes.cri.sandbox-memory"] = "much";
  EXPECT_THAT(ReadPodSpec(Parse(changed), "s1").error().message, HasSubstr("not a number"));
  changed = spec;
  changed["linux"]["namespaces"].erase(2);
  EXPECT_THAT(ReadPodSpec(Parse(changed), "s1").error().message,
              HasSubstr("cannot use the host's network namespace"));
}

TEST(PodSpecTest, KnowsWhoseContainerItIs) {
  const auto annotated = [](const std::string& type, const std::string& sandbox) {
    return Parse({{"annotations",
                   {{"io.kubernetes.cri.container-type", type},
                    {"io.kubernetes.cri.sandbox-id", sandbox}}}});
  };
  EXPECT_EQ(MembershipOf(annotated("container", "s1"), "c1")->group, "s1");
  EXPECT_EQ(MembershipOf(annotated("sandbox", "s1"), "s1")->group, "s1");
  EXPECT_EQ(MembershipOf(Parse(json::object()), "c1")->kind, Membership::Kind::kSingle);
  EXPECT_EQ(MembershipOf(Parse(json::object()), "c1")->group, "c1");
  EXPECT_FALSE(MembershipOf(annotated("container", "../s1"), "c1"));
  EXPECT_FALSE(MembershipOf(annotated("other", "s1"), "c1"));
}

TEST(ResourcesTest, SharesBecomeWeights) {
  EXPECT_EQ(WeightOfShares(0), 1U);
  EXPECT_EQ(WeightOfShares(2), 1U);
  EXPECT_EQ(WeightOfShares(1024), 39U);
  EXPECT_EQ(WeightOfShares(262144), 10000U);
  EXPECT_EQ(WeightOfShares(UINT64_MAX), 10000U);
}

TEST(ResourcesTest, SwapIsCountedAlone) {
  EXPECT_EQ(ParseResources(R"({"memory":{"limit":100,"swap":150}})")->memory_swap_max(), 50);
  EXPECT_EQ(ParseResources(R"({"memory":{"limit":100,"swap":-1}})")->memory_swap_max(), -1);
  EXPECT_FALSE(ParseResources(R"({"memory":{"limit":100}})")->has_memory_swap_max());
  EXPECT_FALSE(ParseResources(R"({"memory":{"limit":100,"swap":50}})"));
  EXPECT_FALSE(ParseResources("[]"));
  EXPECT_FALSE(ParseResources("{"));
}

}  // namespace
}  // namespace farlet::shim
