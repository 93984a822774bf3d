#pragma once

#include "runtime/base/clock.h"

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

// What we use of CRI v1 (kubernetes/cri-api, runtime.v1), as plain values, so that generated code
// stays in runtime/cri/*.cc. Field meanings are those of the CRI messages of the same name.
namespace farlet::cri {

// An id of its own type per kind, so that neighbouring arguments cannot be swapped.
template <class Tag>
struct Id {
  std::string value;
  auto operator<=>(const Id&) const = default;

  bool empty() const { return value.empty(); }
};

using SandboxId = Id<struct SandboxTag>;
using ContainerId = Id<struct ContainerTag>;
using StringMap = std::map<std::string, std::string>;

// Labels and annotations that the kubelet and we put on sandboxes and containers
// (kubelet-contract B7): a restarted agent finds its own by them.
namespace labels {
inline constexpr const char* kPodName = "io.kubernetes.pod.name";
inline constexpr const char* kPodNamespace = "io.kubernetes.pod.namespace";
inline constexpr const char* kPodUid = "io.kubernetes.pod.uid";
inline constexpr const char* kContainerName = "io.kubernetes.container.name";
// The agent that made a sandbox: node name. What does not carry ours is foreign.
inline constexpr const char* kOwner = "farlet.dev/node";
}  // namespace labels

enum class NamespaceMode { kPod, kContainer, kNode };

enum class SandboxState { kReady, kNotReady };

enum class ContainerState { kCreated, kRunning, kExited, kUnknown };

enum class MountPropagation { kPrivate, kHostToContainer, kBidirectional };

struct SandboxMetadata {
  std::string name;
  std::string pod_namespace;
  std::string uid;
  uint32_t attempt = 0;
  bool operator==(const SandboxMetadata&) const = default;
};

struct DnsConfig {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
  bool operator==(const DnsConfig&) const = default;
};

struct PortMapping {
  enum class Protocol { kTcp = 0, kUdp = 1, kSctp = 2 };
  Protocol protocol = Protocol::kTcp;
  int32_t container_port = 0;
  int32_t host_port = 0;
  std::string host_ip;
  bool operator==(const PortMapping&) const = default;
};

struct LinuxResources {
  int64_t cpu_period = 0;
  int64_t cpu_quota = 0;
  int64_t cpu_shares = 0;
  int64_t memory_limit_bytes = 0;
  int64_t oom_score_adj = 0;
  StringMap unified;
  bool operator==(const LinuxResources&) const = default;
};

struct NamespaceOptions {
  NamespaceMode network = NamespaceMode::kPod;
  NamespaceMode pid = NamespaceMode::kContainer;
  NamespaceMode ipc = NamespaceMode::kPod;
  bool operator==(const NamespaceOptions&) const = default;
};

struct SecurityProfile {
  enum class Type { kRuntimeDefault = 0, kUnconfined = 1, kLocalhost = 2 };
  Type type = Type::kUnconfined;
  std::string localhost_ref;
  bool operator==(const SecurityProfile&) const = default;
};

struct SandboxSecurity {
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  bool readonly_rootfs = false;
  bool privileged = false;
  SecurityProfile seccomp{.type = SecurityProfile::Type::kRuntimeDefault};
  bool operator==(const SandboxSecurity&) const = default;
};

struct SandboxConfig {
  SandboxMetadata metadata;
  std::string hostname;
  std::string log_directory;
  DnsConfig dns;
  std::vector<PortMapping> port_mappings;
  StringMap labels;
  StringMap annotations;
  std::string cgroup_parent;
  StringMap sysctls;
  SandboxSecurity security;
  std::optional<LinuxResources> overhead;
  std::optional<LinuxResources> resources;
  bool operator==(const SandboxConfig&) const = default;
};

struct ContainerMetadata {
  std::string name;
  uint32_t attempt = 0;
  bool operator==(const ContainerMetadata&) const = default;
};

struct Mount {
  std::string container_path;
  std::string host_path;
  bool readonly = false;
  MountPropagation propagation = MountPropagation::kPrivate;
  bool operator==(const Mount&) const = default;
};

struct Capabilities {
  std::vector<std::string> add;
  std::vector<std::string> drop;
  bool operator==(const Capabilities&) const = default;
};

struct ContainerSecurity {
  Capabilities capabilities;
  bool privileged = false;
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user;
  std::string run_as_username;
  std::optional<int64_t> run_as_group;
  std::vector<int64_t> supplemental_groups;
  bool readonly_rootfs = false;
  bool no_new_privs = false;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  SecurityProfile seccomp;
  std::optional<SecurityProfile> apparmor;
  bool operator==(const ContainerSecurity&) const = default;
};

struct EnvVar {
  std::string name;
  std::string value;
  auto operator<=>(const EnvVar&) const = default;
};

struct ContainerConfig {
  ContainerMetadata metadata;
  std::string image;                 // image ref to run: an id or a reference
  std::string user_specified_image;  // what the pod spec says
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<EnvVar> envs;
  std::vector<Mount> mounts;
  StringMap labels;
  StringMap annotations;
  std::string log_path;  // relative to the sandbox's log_directory
  bool stdin_open = false;
  bool stdin_once = false;
  bool tty = false;
  LinuxResources resources;
  ContainerSecurity security;
  bool operator==(const ContainerConfig&) const = default;
};

struct Sandbox {  // of ListPodSandbox
  SandboxId id;
  SandboxMetadata metadata;
  SandboxState state = SandboxState::kNotReady;
  WallTime created_at;
  StringMap labels;
  StringMap annotations;
  std::string runtime_handler;
  bool operator==(const Sandbox&) const = default;
};

struct SandboxStatus {
  Sandbox sandbox;
  std::vector<std::string> ips;  // primary first; empty for host network
  bool operator==(const SandboxStatus&) const = default;
};

struct Container {  // of ListContainers
  ContainerId id;
  SandboxId sandbox_id;
  ContainerMetadata metadata;
  std::string image;
  std::string image_ref;
  ContainerState state = ContainerState::kUnknown;
  WallTime created_at;
  StringMap labels;
  StringMap annotations;
  bool operator==(const Container&) const = default;
};

struct ContainerStatus {
  ContainerId id;
  ContainerMetadata metadata;
  ContainerState state = ContainerState::kUnknown;
  WallTime created_at;
  WallTime started_at;   // epoch when it never started
  WallTime finished_at;  // epoch while it runs
  int32_t exit_code = 0;
  std::string image;  // as CRI reports it (ImageSpec.image)
  std::string image_ref;
  std::string image_id;
  std::string reason;
  std::string message;
  StringMap labels;
  StringMap annotations;
  std::string log_path;  // absolute
  bool operator==(const ContainerStatus&) const = default;
};

struct Image {
  std::string id;
  std::vector<std::string> repo_tags;
  std::vector<std::string> repo_digests;
  uint64_t size_bytes = 0;
  std::optional<int64_t> uid;
  std::string username;
  bool operator==(const Image&) const = default;
};

// Never logged.
struct ImageAuth {
  std::string username;
  std::string password;
  std::string auth;
  std::string server_address;
  std::string identity_token;
  std::string registry_token;
  bool operator==(const ImageAuth&) const = default;
};

struct RuntimeCondition {
  std::string type;  // "RuntimeReady", "NetworkReady"
  bool status = false;
  std::string reason;
  std::string message;
  bool operator==(const RuntimeCondition&) const = default;
};

struct RuntimeHandler {
  std::string name;
  bool recursive_readonly_mounts = false;
  bool user_namespaces = false;
  bool operator==(const RuntimeHandler&) const = default;
};

struct RuntimeStatus {
  std::vector<RuntimeCondition> conditions;
  std::vector<RuntimeHandler> handlers;
  bool operator==(const RuntimeStatus&) const = default;
};

struct RuntimeVersion {
  std::string runtime_name;
  std::string runtime_version;
  std::string runtime_api_version;
  bool operator==(const RuntimeVersion&) const = default;
};

struct FilesystemUsage {
  std::string mountpoint;
  uint64_t used_bytes = 0;
  uint64_t inodes_used = 0;
  bool operator==(const FilesystemUsage&) const = default;
};

struct ExecSyncResult {
  std::string stdout_text;
  std::string stderr_text;
  int32_t exit_code = 0;
  bool operator==(const ExecSyncResult&) const = default;
};

struct StreamOptions {  // of Exec and Attach
  ContainerId container;
  std::vector<std::string> command;  // Exec only
  bool stdin_open = false;
  bool stdout_open = false;
  bool stderr_open = false;
  bool tty = false;
  bool operator==(const StreamOptions&) const = default;
};

}  // namespace farlet::cri
