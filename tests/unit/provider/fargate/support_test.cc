#include "provider/fargate/support.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace farlet::fargate {
namespace {

using nlohmann::json;

// `text` is a pod's spec without containers, `containers` theirs.
std::string Message(const std::string& spec,
                    const std::string& containers = R"([{"name": "c"}])",
                    const AllowList& allow = {}) {
  json pod{{"metadata", {{"name", "p"}}}, {"spec", json::parse(spec)}};
  pod["spec"]["containers"] = json::parse(containers);
  const auto facts = PodFacts::FromJson(pod, "default");
  EXPECT_TRUE(facts) << facts.error().message;
  return UnsupportedMessage(*facts, allow, "farlet");
}

constexpr char kPrefix[] = "Pod not supported on Fargate: ";

// Every message text of the reference's section 2.4 that is about a pod's spec. What is seen on AWS
// stands first, the parts in AWS's grammar of which AWS's words are not known after it.
TEST(SupportTest, MessagesAreAws) {
  const struct {
    const char* spec;
    const char* containers;
    const char* message;
  } cases[] = {
      {R"({"hostNetwork": true})", R"([{"name": "c"}])", "fields not supported: HostNetwork"},
      {R"({"hostNetwork": true, "hostPID": true, "hostIPC": true})", R"([{"name": "c"}])",
       "fields not supported: HostNetwork, HostPID, HostIPC"},
      {"{}", R"([{"name": "c", "securityContext": {"privileged": true}}])",
       "invalid SecurityContext fields: Privileged"},
      {"{}",
       R"([{"name": "a", "securityContext": {"privileged": true}},
           {"name": "b", "securityContext": {"privileged": true}}])",
       "invalid SecurityContext fields: Privileged,Privileged"},
      {"{}", R"([{"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}])",
       "invalid SecurityContext fields: Capabilities added: NET_ADMIN"},
      {"{}",
       R"([{"name": "c", "securityContext": {"privileged": true, "capabilities":
            {"add": ["CAP_NET_ADMIN", "CHOWN", "SYS_TIME"]}}}])",
       "invalid SecurityContext fields: Privileged,Capabilities added: CAP_NET_ADMIN,SYS_TIME"},
      {"{}", R"([{"name": "c", "ports": [{"containerPort": 80, "hostPort": 8080}]}])",
       "port contains HostIP or HostPort"},
      {"{}", R"([{"name": "c", "ports": [{"containerPort": 80, "hostIP": "127.0.0.1"}]}])",
       "port contains HostIP or HostPort"},
      {R"({"volumes": [{"name": "docker", "hostPath": {"path": "/var/run"}}]})",
       R"([{"name": "c"}])", "volumes not supported: docker is of an unsupported volume Type"},
      {R"({"volumes": [{"name": "a", "nfs": {"server": "s", "path": "/"}},
                       {"name": "ok", "emptyDir": {}},
                       {"name": "b", "persistentVolumeClaim": {"claimName": "x"}},
                       {"name": "h", "emptyDir": {"medium": "HugePages-2Mi"}}]})",
       R"([{"name": "c"}])",
       "volumes not supported: a is of an unsupported volume Type, b is of an unsupported volume "
       "Type, h is of an unsupported volume Type"},
      {"{}", R"([{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": 1}}}])",
       "resources not supported: nvidia.com/gpu"},
      {"{}", R"([{"name": "c", "volumeDevices": [{"name": "d", "devicePath": "/dev/x"}]}])",
       "fields not supported: VolumeDevices"},
      {R"({"os": {"name": "windows"}, "runtimeClassName": "runc",
           "resourceClaims": [{"name": "gpu"}]})",
       R"([{"name": "c"}])", "fields not supported: OS, RuntimeClassName, ResourceClaims"},
  };

  for (const auto& one : cases) {
    EXPECT_EQ(Message(one.spec, one.containers), std::string(kPrefix) + one.message);
  }
}

TEST(SupportTest, AllReasonsAreInOneMessage) {
  EXPECT_EQ(
      Message(R"({"hostNetwork": true, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]})",
              R"([{"name": "c", "securityContext": {"privileged": true},
                   "ports": [{"containerPort": 1, "hostPort": 1}],
                   "resources": {"requests": {"nvidia.com/gpu": "1"}}}])"),
      "Pod not supported on Fargate: fields not supported: HostNetwork, invalid SecurityContext "
      "fields: Privileged, port contains HostIP or HostPort, volumes not supported: v is of an "
      "unsupported volume Type, resources not supported: nvidia.com/gpu");
}

TEST(SupportTest, InitContainersAreLookedAt) {
  EXPECT_EQ(
      Message(R"({"initContainers": [{"name": "i", "securityContext": {"privileged": true}}]})"),
      "Pod not supported on Fargate: invalid SecurityContext fields: Privileged");
}

TEST(SupportTest, OrdinaryPodsRun) {
  EXPECT_EQ(Message(R"({"runtimeClassName": "farlet", "os": {"name": "linux"},
                        "volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}},
                                    {"name": "b", "configMap": {"name": "x"}},
                                    {"name": "c", "secret": {"secretName": "x"}},
                                    {"name": "d", "downwardAPI": {}},
                                    {"name": "e", "projected": {"sources": []}},
                                    {"name": "f"}]})",
                    R"([{"name": "c", "ports": [{"containerPort": 80}],
                         "resources": {"requests": {"cpu": 1, "memory": "1Gi",
                                                    "ephemeral-storage": "1Gi", "x.io/y": 0}},
                         "securityContext": {"privileged": false,
                            "allowPrivilegeEscalation": true, "runAsUser": 0,
                            "capabilities": {"drop": ["ALL"],
                              "add": ["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID",
                                      "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETGID",
                                      "SETUID", "SETFCAP", "SETPCAP", "CAP_SYS_CHROOT"]}}}])"),
            "");
}

TEST(SupportTest, AllowListOpensSingleFeatures) {
  constexpr char kContainer[] =
      R"([{"name": "c", "securityContext": {"capabilities": {"add": ["CAP_NET_ADMIN"]}}}])";
  EXPECT_EQ(Message("{}", kContainer, {.capabilities = {"NET_ADMIN"}}), "");
  EXPECT_EQ(Message("{}", kContainer, {.capabilities = {"*"}}), "");
  EXPECT_NE(Message("{}", kContainer, {.capabilities = {"SYS_ADMIN"}, .privileged = true}), "");
  EXPECT_EQ(Message("{}", R"([{"name": "c", "securityContext": {"privileged": true}}])",
                    {.privileged = true}),
            "");
  EXPECT_EQ(Message("{}", R"([{"name": "c", "ports": [{"hostPort": 1}]}])", {.host_ports = true}),
            "");
  EXPECT_EQ(Message(R"({"volumes": [{"name": "v", "nfs": {}}]})", R"([{"name": "c"}])",
                    {.volume_types = {"nfs"}}),
            "");
  EXPECT_EQ(Message("{}", R"([{"name": "c", "resources": {"limits": {"nvidia.com/gpu": 1}}}])",
                    {.resources = {"nvidia.com/gpu"}}),
            "");
  EXPECT_EQ(Message(R"({"runtimeClassName": "kata"})", R"([{"name": "c"}])",
                    {.runtime_classes = {"kata"}}),
            "");
}

TEST(SupportTest, UlimitsAreAskedForByAnnotation) {
  const auto message = [](const std::string& ulimits, const std::vector<std::string>& allowed) {
    const json pod{
        {"metadata", {{"name", "p"}, {"annotations", {{"farlet.dev/ulimits", ulimits}}}}},
        {"spec", {{"containers", {{{"name", "c"}}}}}}};
    return UnsupportedMessage(*PodFacts::FromJson(pod, "default"), {.ulimits = allowed}, "farlet");
  };
  EXPECT_EQ(message("nofile=65535,memlock=unlimited", {"nofile"}),
            "Pod not supported on Fargate: ulimits not supported: memlock");
  EXPECT_EQ(message("nofile=65535,memlock=unlimited", {}),
            "Pod not supported on Fargate: ulimits not supported: nofile, memlock");
  EXPECT_EQ(message("nofile=65535,memlock=unlimited", {"*"}), "");
  EXPECT_EQ(message("nofile", {"*"}),
            "Pod not supported on Fargate: ulimits not supported: \"nofile\" is not of the form "
            "name=soft:hard");
}

TEST(SupportTest, HostPathsAreAllowedFromARootDownwards) {
  const auto allowed = [](const std::string& path, const std::string& root) {
    return Message(R"({"volumes": [{"name": "v", "hostPath": {"path": ")" + path + R"("}}]})",
                   R"([{"name": "c"}])", {.host_paths = {root}})
        .empty();
  };
  EXPECT_TRUE(allowed("/opt/data", "/opt/data"));
  EXPECT_TRUE(allowed("/opt/data/x", "/opt/data/"));
  EXPECT_TRUE(allowed("/etc", "/"));
  EXPECT_FALSE(allowed("/opt/database", "/opt/data"));
  EXPECT_FALSE(allowed("/opt", "/opt/data"));
  EXPECT_FALSE(allowed("/opt/data/../../etc", "/opt/data"));
  EXPECT_FALSE(allowed("", "/opt"));
  EXPECT_FALSE(allowed("/opt", ""));
}

}  // namespace
}  // namespace farlet::fargate
