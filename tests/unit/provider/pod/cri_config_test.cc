#include "provider/pod/cri_config.h"

#include "provider/pod/dns.h"
#include "provider/pod/hostname.h"
#include "provider/pod/resources.h"
#include "runtime/base/file.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class CriConfigTest : public testing::Test {
 protected:
  CriConfigTest() {
    node_.node_name = "node-a";
    node_.root_dir = "/var/lib/kubelet";
    node_.pod_logs_dir = "/var/log/pods";
    node_.cluster_dns = {"10.96.0.10"};
    node_.resolv_conf = "";
    node_.unified_cgroups = true;
    node_.capacity = {{"memory", *kube::Quantity::Parse("4Gi")}};
  }

  static kube::Pod WithSpec(const char* spec) { return BuildPod({{"spec", Json::parse(spec)}}); }

  cri::SandboxConfig Sandbox(const kube::Pod& pod) {
    auto config = MakeSandboxConfig(pod, 2, node_, warnings_);
    EXPECT_TRUE(config) << config.error().message;
    return *std::move(config);
  }

  Result<cri::ContainerConfig> Container(const kube::Pod& pod,
                                         std::optional<int64_t> uid = std::nullopt,
                                         const std::string& user = "") {
    return MakeContainerConfig(pod,
                               {.container = pod.spec.containers[0],
                                .restart_count = 3,
                                .image_ref = "sha256:1",
                                .image_uid = uid,
                                .image_username = user,
                                .env = {{.name = "A", .value = "1"}},
                                .mounts = {}},
                               node_);
  }

  void WriteResolvConf(const std::string& text) {
    node_.resolv_conf =
        std::filesystem::temp_directory_path() / ("farlet-resolv-" + std::to_string(::getpid()));
    ASSERT_TRUE(WriteFileAtomic(node_.resolv_conf, text, 0644));
  }

  ~CriConfigTest() override {
    if (!node_.resolv_conf.empty()) {
      std::filesystem::remove(node_.resolv_conf);
    }
  }

  NodeContext node_;
  std::vector<PodWarning> warnings_;
};

TEST_F(CriConfigTest, Sandbox) {
  const kube::Pod pod = BuildPod(Json::parse(R"({
    "metadata": {"labels": {"app": "web", "io.kubernetes.pod.uid": "forged"}, "annotations": {"a": "b"}},
    "spec": {"shareProcessNamespace": true, "securityContext": {"fsGroup": 5, "supplementalGroups": [6],
               "runAsUser": 7, "runAsGroup": 8, "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]},
             "overhead": {"memory": "1Mi"},
             "containers": [{"name": "app", "image": "x", "securityContext": {"privileged": true},
               "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "64Mi"}},
               "ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "10.0.0.1"},
                         {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "UDP"}]}]}})"));
  const cri::SandboxConfig config = Sandbox(pod);
  EXPECT_EQ(config.metadata.name, "web");
  EXPECT_EQ(config.metadata.attempt, 2U);
  EXPECT_EQ(config.hostname, "web");
  EXPECT_EQ(config.log_directory, "/var/log/pods/shop_web_uid-1");
  EXPECT_EQ(config.labels.at("io.kubernetes.pod.uid"), "uid-1");
  EXPECT_EQ(config.labels.at("app"), "web");
  EXPECT_EQ(config.labels.at(cri::labels::kOwner), "node-a");
  EXPECT_EQ(config.annotations.at("a"), "b");
  EXPECT_EQ(config.cgroup_parent, "/kubepods/burstable/poduid-1");
  EXPECT_THAT(config.sysctls, ElementsAre(Pair("net.ipv4.tcp_syncookies", "1")));
  ASSERT_EQ(config.port_mappings.size(), 2U);
  EXPECT_EQ(config.port_mappings[0].host_port, 8080);
  EXPECT_EQ(config.port_mappings[1].protocol, cri::PortMapping::Protocol::kUdp);
  EXPECT_EQ(config.security.namespaces.pid, cri::NamespaceMode::kPod);
  EXPECT_EQ(config.security.namespaces.network, cri::NamespaceMode::kPod);
  EXPECT_THAT(config.security.supplemental_groups, ElementsAre(5, 6));
  EXPECT_EQ(config.security.run_as_user, 7);
  EXPECT_TRUE(config.security.privileged);
  EXPECT_EQ(config.security.seccomp.type, cri::SecurityProfile::Type::kRuntimeDefault);
  EXPECT_EQ(config.overhead->memory_limit_bytes, 1 << 20);
  EXPECT_EQ(config.resources->cpu_quota, 50'000);
  EXPECT_EQ(config.resources->cpu_shares, 256);
  EXPECT_EQ(config.resources->memory_limit_bytes, 64 << 20);
}

TEST_F(CriConfigTest, MachineSize) {
  constexpr char kDisk[] = "farlet.dev/ephemeral-storage-bytes";
  const kube::Pod pod = BuildPod(Json::parse(R"({
    "metadata": {"annotations": {"farlet.dev/ephemeral-storage-bytes": "1000000000000000"}},
    "spec": {"containers": [{"name": "app", "image": "x",
               "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}}]}})"));
  EXPECT_FALSE(Sandbox(pod).annotations.contains(kDisk));
  node_.machine_size = [](const kube::Pod&) { return MachineSize{.storage_bytes = 21 << 20}; };
  EXPECT_EQ(Sandbox(pod).annotations.at(kDisk), "22020096");
  EXPECT_EQ(Sandbox(pod).resources->memory_limit_bytes, 64 << 20);
  node_.machine_size = [](const kube::Pod&) {
    return MachineSize{.milli_cpus = 1000, .memory_bytes = 512 << 20};
  };
  EXPECT_EQ(Sandbox(pod).resources->cpu_quota, 100'000);
  EXPECT_EQ(Sandbox(pod).resources->cpu_shares, 512);
  EXPECT_EQ(Sandbox(pod).resources->memory_limit_bytes, 512 << 20);
}

TEST_F(CriConfigTest, HostNamespaces) {
  const cri::SandboxConfig config =
      Sandbox(WithSpec(R"({"hostNetwork": true, "hostPID": true, "hostIPC": true})"));
  EXPECT_EQ(config.hostname, "");
  EXPECT_EQ(config.security.namespaces.network, cri::NamespaceMode::kNode);
  EXPECT_EQ(config.security.namespaces.pid, cri::NamespaceMode::kNode);
  EXPECT_EQ(config.security.namespaces.ipc, cri::NamespaceMode::kNode);
}

TEST_F(CriConfigTest, CgroupParents) {
  const kube::Pod best_effort = BuildPod();
  const kube::Pod guaranteed = WithSpec(R"({"containers": [{"name": "a", "image": "x",
      "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]})");
  EXPECT_EQ(PodCgroupParent(best_effort, node_), "/kubepods/besteffort/poduid-1");
  EXPECT_EQ(PodCgroupParent(guaranteed, node_), "/kubepods/poduid-1");
  node_.cgroup_root = "/farlet-x";
  EXPECT_EQ(PodCgroupParent(guaranteed, node_), "/farlet-x/kubepods/poduid-1");
  node_.systemd_cgroups = true;
  EXPECT_EQ(PodCgroupParent(guaranteed, node_),
            "/farlet_x.slice/farlet_x-kubepods.slice/farlet_x-kubepods-poduid_1.slice");
  node_.cgroup_root = "";
  EXPECT_EQ(PodCgroupParent(best_effort, node_),
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-poduid_1.slice");
}

TEST_F(CriConfigTest, Hostnames) {
  const auto name = [&](const char* spec) {
    const auto host = KernelHostname(WithSpec(spec), node_);
    return host ? *host : host.error().message;
  };
  EXPECT_EQ(name(R"({"hostname": "h"})"), "h");
  EXPECT_EQ(name(R"({"hostname": "h", "subdomain": "s"})"), "h");
  EXPECT_EQ(name(R"({"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": true})"),
            "h.s.shop.svc.cluster.local");
  EXPECT_EQ(name(R"({"hostname": "h", "subdomain": "s", "hostnameOverride": "o"})"), "o");
  const std::string lengthy(62, 'a');
  EXPECT_EQ(name(Json({{"hostname", lengthy + "-.tail"}}).dump().c_str()), lengthy);
  EXPECT_THAT(
      name(Json({{"hostname", lengthy}, {"subdomain", "s"}, {"setHostnameAsFQDN", true}})
               .dump()
               .c_str()),
      testing::HasSubstr("is too long (64 characters is the max, 87 characters requested)"));
}

TEST_F(CriConfigTest, ClusterDns) {
  WriteResolvConf("nameserver 1.1.1.1\nsearch corp.test svc.cluster.local\noptions rotate\n");
  cri::DnsConfig dns = Sandbox(BuildPod()).dns;
  EXPECT_THAT(dns.servers, ElementsAre("10.96.0.10"));
  EXPECT_THAT(dns.searches, ElementsAre("shop.svc.cluster.local", "svc.cluster.local",
                                        "cluster.local", "corp.test"));
  EXPECT_THAT(dns.options, ElementsAre("ndots:5"));
  dns = Sandbox(
            WithSpec(
                R"({"dnsConfig": {"nameservers": ["9.9.9.9", "10.96.0.10"], "searches": ["x.test"],
      "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}})"))
            .dns;
  EXPECT_THAT(dns.servers, ElementsAre("10.96.0.10", "9.9.9.9"));
  EXPECT_THAT(dns.options, ElementsAre("ndots:2", "edns0"));
  EXPECT_THAT(dns.searches, Contains("x.test"));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CriConfigTest, OtherDnsPolicies) {
  WriteResolvConf(
      "# c\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch a.\nsearch corp.test. .\noptions "
      "rotate\n");
  for (const char* spec : {R"({"dnsPolicy": "Default"})", R"({"hostNetwork": true})"}) {
    const cri::DnsConfig dns = Sandbox(WithSpec(spec)).dns;
    EXPECT_THAT(dns.servers, ElementsAre("1.1.1.1", "2.2.2.2"));
    EXPECT_THAT(dns.searches, ElementsAre("corp.test"));
    EXPECT_THAT(dns.options, ElementsAre("rotate"));
  }
  EXPECT_THAT(Sandbox(WithSpec(R"({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"})"))
                  .dns.servers,
              ElementsAre("10.96.0.10"));
  EXPECT_THAT(
      Sandbox(WithSpec(R"({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["3.3.3.3"]}})"))
          .dns.servers,
      ElementsAre("3.3.3.3"));
  EXPECT_THAT(warnings_, IsEmpty());
  node_.cluster_dns.clear();
  EXPECT_THAT(Sandbox(BuildPod()).dns.servers, ElementsAre("1.1.1.1", "2.2.2.2"));
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_EQ(warnings_[0].reason, "MissingClusterDNS");
}

TEST_F(CriConfigTest, DnsLimits) {
  Json config = {{"nameservers", {"1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"}}};
  for (int i = 0; i < 40; ++i) {
    config["searches"].push_back("d" + std::to_string(i) + ".test");
  }
  const cri::DnsConfig dns =
      Sandbox(BuildPod({{"spec", {{"dnsPolicy", "None"}, {"dnsConfig", config}}}})).dns;
  EXPECT_EQ(dns.servers.size(), 3U);
  EXPECT_EQ(dns.searches.size(), 32U);
  ASSERT_EQ(warnings_.size(), 2U);
  EXPECT_EQ(warnings_[0].message,
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied "
            "nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3");
  EXPECT_EQ(warnings_[1].reason, "DNSConfigForming");
  warnings_.clear();
  config = {{"searches", Json::array()}};
  for (int i = 0; i < 20; ++i) {
    config["searches"].push_back(std::string(199, 'a') + std::to_string(i));
  }
  config["searches"].push_back(std::string(300, 'b'));
  EXPECT_EQ(Sandbox(BuildPod({{"spec", {{"dnsPolicy", "None"}, {"dnsConfig", config}}}}))
                .dns.searches.size(),
            10U);
  EXPECT_EQ(warnings_.size(), 1U);
}

TEST_F(CriConfigTest, MissingResolvConfIsAnError) {
  node_.resolv_conf = "/nonexistent/resolv.conf";
  const auto config = MakeSandboxConfig(BuildPod(), 0, node_, warnings_);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, testing::HasSubstr("/nonexistent/resolv.conf"));
  EXPECT_TRUE(MakeSandboxConfig(WithSpec(R"({"dnsPolicy": "None"})"), 0, node_, warnings_));
  node_.resolv_conf = "";
}

TEST_F(CriConfigTest, Container) {
  const kube::Pod pod = BuildPod(Json::parse(R"json({
    "metadata": {"deletionGracePeriodSeconds": 7},
    "spec": {"terminationGracePeriodSeconds": 9, "containers": [{"name": "app", "image": "busybox",
      "command": ["sh", "$(A)"], "args": ["$$(A)", "$(NONE)"], "workingDir": "/w", "tty": true, "stdin": true,
      "ports": [{"containerPort": 80, "name": "http"}],
      "securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}, "readOnlyRootFilesystem": true,
         "allowPrivilegeEscalation": false, "seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"},
         "appArmorProfile": {"type": "RuntimeDefault"}}}]}})json"));
  const auto config = Container(pod);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->metadata.attempt, 3U);
  EXPECT_EQ(config->image, "sha256:1");
  EXPECT_EQ(config->user_specified_image, "busybox");
  EXPECT_THAT(config->command, ElementsAre("sh", "1"));
  EXPECT_THAT(config->args, ElementsAre("$(A)", "$(NONE)"));
  EXPECT_EQ(config->working_dir, "/w");
  EXPECT_TRUE(config->tty);
  EXPECT_EQ(config->log_path, "app/3.log");
  EXPECT_EQ(config->labels.at("io.kubernetes.container.name"), "app");
  EXPECT_EQ(config->labels.at(cri::labels::kOwner), "node-a");
  EXPECT_EQ(config->annotations.at(kRestartCountAnnotation), "3");
  EXPECT_EQ(config->annotations.at(kTerminationPathAnnotation), "/dev/termination-log");
  EXPECT_EQ(config->annotations.at(kTerminationPolicyAnnotation), "File");
  EXPECT_EQ(config->annotations.at(kPodGraceAnnotation), "9");
  EXPECT_EQ(config->annotations.at("io.kubernetes.pod.deletionGracePeriod"), "7");
  EXPECT_EQ(config->annotations.at("io.kubernetes.container.ports"),
            R"([{"containerPort":80,"name":"http","protocol":"TCP"}])");
  const cri::ContainerSecurity& security = config->security;
  EXPECT_THAT(security.capabilities.add, ElementsAre("NET_ADMIN"));
  EXPECT_THAT(security.capabilities.drop, ElementsAre("ALL"));
  EXPECT_TRUE(security.readonly_rootfs);
  EXPECT_TRUE(security.no_new_privs);
  EXPECT_EQ(security.seccomp.localhost_ref, "/var/lib/kubelet/seccomp/p.json");
  EXPECT_EQ(security.apparmor->type, cri::SecurityProfile::Type::kRuntimeDefault);
  EXPECT_THAT(security.masked_paths, Contains("/proc/kcore"));
  EXPECT_THAT(security.readonly_paths, Contains("/proc/sys"));
  EXPECT_EQ(config->resources.oom_score_adj, 1000);
  EXPECT_EQ(config->resources.cpu_shares, 2);
  EXPECT_EQ(config->resources.unified.at("memory.oom.group"), "1");
}

// A restart for any other reason would lose work.
TEST_F(CriConfigTest, HashFollowsNameAndImageOnly) {
  kube::Container container;
  container.name = "app";
  container.image = "busybox";
  const std::string hash = ContainerHash(container);
  container.command = {"x"};
  EXPECT_EQ(ContainerHash(container), hash);
  container.image = "busybox:2";
  EXPECT_NE(ContainerHash(container), hash);
}

struct UserCase {
  const char* spec;
  std::optional<int64_t> image_uid;
  const char* image_user;
  std::optional<int64_t> uid;
  const char* name;
  const char* error;
};

TEST_F(CriConfigTest, Users) {
  const std::string where = " (pod: \"web_shop(uid-1)\", container: app)";
  for (const UserCase& test :
       {UserCase{"{}", std::nullopt, "", 0, "", ""}, UserCase{"{}", 100, "", 100, "", ""},
        UserCase{"{}", std::nullopt, "www", std::nullopt, "www", ""},
        UserCase{R"({"securityContext": {"runAsUser": 5}})", std::nullopt, "www", 5, "", ""},
        UserCase{R"({"securityContext": {"runAsNonRoot": true}})", 100, "", 100, "", ""},
        UserCase{R"({"securityContext": {"runAsNonRoot": true}})", std::nullopt, "", 0, "",
                 "container has runAsNonRoot and image will run as root"},
        UserCase{R"({"securityContext": {"runAsNonRoot": true}})", 0, "", 0, "",
                 "container has runAsNonRoot and image will run as root"},
        UserCase{R"({"securityContext": {"runAsNonRoot": true, "runAsUser": 0}})", 5, "", 0, "",
                 "container's runAsUser breaks non-root policy"},
        UserCase{R"({"securityContext": {"runAsNonRoot": true}})", std::nullopt, "www", 0, "",
                 "container has runAsNonRoot and image has non-numeric user (www), cannot verify "
                 "user is non-root"}}) {
    const auto config = Container(WithSpec(test.spec), test.image_uid, test.image_user);
    if (*test.error != '\0') {
      ASSERT_FALSE(config) << test.spec;
      EXPECT_EQ(config.error().message, test.error + where);
      EXPECT_EQ(config.error().code, Code::kInvalidArgument);
      continue;
    }
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->security.run_as_user, test.uid);
    EXPECT_EQ(config->security.run_as_username, test.name);
  }
}

struct ResourceCase {
  const char* resources;
  int64_t shares;
  int64_t quota;
  int64_t memory;
  int64_t oom;
};

TEST_F(CriConfigTest, Resources) {
  for (const ResourceCase& test :
       {ResourceCase{"{}", 2, 0, 0, 1000},
        ResourceCase{R"({"requests": {"cpu": "1m"}})", 2, 0, 0, 999},
        ResourceCase{R"({"requests": {"cpu": "250m", "memory": "1Gi"}})", 256, 0, 0, 750},
        ResourceCase{R"({"limits": {"cpu": "2"}})", 2048, 200'000, 0, 999},
        ResourceCase{R"({"limits": {"cpu": "1m"}})", 2, 1000, 0, 999},
        ResourceCase{R"({"requests": {"memory": "4Gi"}})", 2, 0, 0, 3},
        ResourceCase{R"({"requests": {"memory": "400Gi"}})", 2, 0, 0, 3},
        ResourceCase{R"({"requests": {"cpu": "9000000"}})", 262'144, 0, 0, 999},
        ResourceCase{R"({"limits": {"cpu": "1", "memory": "1Gi"}})", 1024, 100'000, 1 << 30,
                     -997}}) {
    const kube::Pod pod = BuildPod(
        {{"spec",
          {{"containers",
            Json::array(
                {{{"name", "a"}, {"image", "x"}, {"resources", Json::parse(test.resources)}}})}}}});
    const cri::LinuxResources made = ContainerResources(pod, pod.spec.containers[0], node_);
    EXPECT_EQ(made.cpu_shares, test.shares) << test.resources;
    EXPECT_EQ(made.cpu_quota, test.quota) << test.resources;
    EXPECT_EQ(made.memory_limit_bytes, test.memory) << test.resources;
    EXPECT_EQ(made.oom_score_adj, test.oom) << test.resources;
    EXPECT_EQ(made.cpu_period, 100'000);
  }
}

}  // namespace
}  // namespace farlet::pod
