#pragma once

#include "kube/api/meta.h"
#include "kube/api/quantity.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// core/v1 Pod, the fields that the node acts on. Names follow the API; what a field means is said
// there (k8s.io/api core/v1 types). Fields that only later parts need are added with them.
namespace farlet::kube {

struct KeySelector {  // configMapKeyRef, secretKeyRef
  std::string name;
  std::string key;
  bool optional = false;
};

struct FieldSelector {  // fieldRef
  std::string api_version;
  std::string field_path;
};

struct ResourceFieldSelector {  // resourceFieldRef
  std::string container_name;
  std::string resource;
  Quantity divisor;
};

struct ConfigMapKey : KeySelector {};

struct SecretKey : KeySelector {};

struct EnvVar {
  std::string name;
  // A literal value, or where it comes from.
  std::variant<std::string, ConfigMapKey, SecretKey, FieldSelector, ResourceFieldSelector> source;
};

struct EnvFromSource {
  enum class Kind { kConfigMap, kSecret };
  Kind kind = Kind::kConfigMap;
  std::string name;
  std::string prefix;
  bool optional = false;
};

struct ContainerPort {
  std::string name;
  int32_t container_port = 0;
  int32_t host_port = 0;
  std::string host_ip;
  std::string protocol = "TCP";
};

using ResourceList = std::map<std::string, Quantity>;  // "cpu", "memory", …

struct ResourceRequirements {
  ResourceList requests;
  ResourceList limits;
};

struct VolumeMount {
  std::string name;
  std::string mount_path;
  std::string sub_path;
  std::string sub_path_expr;
  std::string mount_propagation;  // "", "None", "HostToContainer", "Bidirectional"
  bool read_only = false;
};

using PortReference = std::variant<int32_t, std::string>;  // a number or a container port's name

struct HttpHeader {
  std::string name;
  std::string value;
};

struct ExecAction {
  std::vector<std::string> command;
};

struct HttpGetAction {
  std::string path = "/";
  PortReference port;
  std::string host;
  std::string scheme = "HTTP";
  std::vector<HttpHeader> headers;
};

struct TcpSocketAction {
  PortReference port;
  std::string host;
};

struct GrpcAction {
  int32_t port = 0;
  std::string service;
};

struct Probe {
  std::variant<ExecAction, HttpGetAction, TcpSocketAction, GrpcAction> action;
  seconds initial_delay{0};
  seconds timeout{1};
  seconds period{10};
  int32_t success_threshold = 1;
  int32_t failure_threshold = 3;
  std::optional<seconds> termination_grace_period;
};

struct SecurityProfile {  // seccompProfile, appArmorProfile
  std::string type;       // "RuntimeDefault", "Unconfined", "Localhost"
  std::string localhost_profile;
};

struct SecurityContext {  // of a container
  std::vector<std::string> capabilities_add;
  std::vector<std::string> capabilities_drop;
  std::optional<bool> privileged;
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;
  std::optional<bool> read_only_root_filesystem;
  std::optional<bool> allow_privilege_escalation;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
};

struct PodSecurityContext {
  std::optional<int64_t> run_as_user;
  std::optional<int64_t> run_as_group;
  std::optional<bool> run_as_non_root;
  std::optional<int64_t> fs_group;
  std::vector<int64_t> supplemental_groups;
  std::optional<SecurityProfile> seccomp;
  std::optional<SecurityProfile> apparmor;
  StringMap sysctls;
};

struct Container {
  std::string name;
  std::string image;
  std::string image_pull_policy = "IfNotPresent";  // the API server always fills it in
  std::vector<std::string> command;
  std::vector<std::string> args;
  std::string working_dir;
  std::vector<ContainerPort> ports;
  std::vector<EnvFromSource> env_from;
  std::vector<EnvVar> env;
  ResourceRequirements resources;
  std::vector<VolumeMount> volume_mounts;
  std::optional<Probe> liveness_probe;
  std::optional<Probe> readiness_probe;
  std::optional<Probe> startup_probe;
  std::string restart_policy;  // init containers: "" or "Always" (a sidecar)
  SecurityContext security;
  std::string termination_message_path = "/dev/termination-log";
  std::string termination_message_policy = "File";
  bool stdin_open = false;
  bool stdin_once = false;
  bool tty = false;
};

struct KeyToPath {
  std::string key;
  std::string path;
  std::optional<int32_t> mode;
};

struct ObjectProjection {  // configMap or secret, as a volume or as a source of a projected one
  std::string name;
  std::vector<KeyToPath> items;  // empty: every key
  bool optional = false;
};

struct ConfigMapProjection : ObjectProjection {};

struct SecretProjection : ObjectProjection {};

struct DownwardApiFile {
  std::string path;
  std::variant<FieldSelector, ResourceFieldSelector> source;
  std::optional<int32_t> mode;
};

struct DownwardApiProjection {
  std::vector<DownwardApiFile> items;
};

struct ServiceAccountTokenProjection {
  std::string audience;
  seconds expiration{3600};
  std::string path;
};

// A source that this node does not read; `type` is the field's name ("clusterTrustBundle").
struct UnsupportedProjection {
  std::string type;
};

using ProjectionSource = std::variant<ConfigMapProjection,
                                      SecretProjection,
                                      DownwardApiProjection,
                                      ServiceAccountTokenProjection,
                                      UnsupportedProjection>;

struct EmptyDirVolume {
  std::string medium;  // "", "Memory", "HugePages…"
  std::optional<Quantity> size_limit;
};

// configMap, secret, downwardAPI and projected volumes: files from one or several sources.
struct ProjectedVolume {
  enum class Kind { kConfigMap, kSecret, kDownwardApi, kProjected };
  Kind kind = Kind::kProjected;
  std::vector<ProjectionSource> sources;
  int32_t default_mode = 0644;
};

// A volume type that this node does not run; `type` is the field's name ("hostPath").
struct UnsupportedVolume {
  std::string type;
};

struct Volume {
  std::string name;
  std::variant<EmptyDirVolume, ProjectedVolume, UnsupportedVolume> source;
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
};

struct PodDnsConfig {
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<std::pair<std::string, std::optional<std::string>>> options;
};

struct Toleration {
  std::string key;
  std::string op;  // "Exists", "Equal"
  std::string value;
  std::string effect;
};

struct PodSpec {
  std::string node_name;
  std::string restart_policy = "Always";
  std::string service_account_name;
  std::string hostname;
  std::string subdomain;
  std::string dns_policy = "ClusterFirst";
  PodDnsConfig dns_config;
  std::string runtime_class_name;
  std::string priority_class_name;
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  bool share_process_namespace = false;
  bool set_hostname_as_fqdn = false;
  bool enable_service_links = true;
  seconds termination_grace_period{30};
  std::optional<seconds> active_deadline;
  std::vector<std::string> image_pull_secrets;
  std::vector<std::string> readiness_gates;
  std::vector<HostAlias> host_aliases;
  std::vector<Toleration> tolerations;
  PodSecurityContext security;
  std::vector<Container> init_containers;
  std::vector<Container> containers;
  std::vector<Volume> volumes;
  ResourceList overhead;
  std::optional<std::string> hostname_override;
  // Fields in use that change what the pod does and that these types do not hold, by path
  // ("spec.containers[0].lifecycle").
  std::vector<std::string> not_understood;
};

// An immutable snapshot.
struct Pod {
  ObjectMeta meta;
  PodSpec spec;
  // status as the API has it: what others wrote is preserved, and the phase is never left again.
  std::string phase;
  // Set when the spec could not be understood: the field and the reason. Such a pod is never run;
  // its meta is complete.
  std::optional<Error> invalid;
  // The whole object without managedFields, for status patches and for GET /pods.
  std::shared_ptr<const nlohmann::json> raw;

  // Fails only when not even the metadata (uid, namespace, name) can be read.
  static Result<Pod> FromJson(nlohmann::json object);

  // "NAME_NAMESPACE(UID)", as the kubelet words it in messages.
  std::string Format() const;
};

enum class QosClass { kGuaranteed, kBurstable, kBestEffort };

QosClass ComputeQosClass(const PodSpec& spec);
std::string_view QosClassName(QosClass qos);  // "Guaranteed", …

}  // namespace farlet::kube
