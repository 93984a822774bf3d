#include "provider/pod/cri_config.h"
#include "provider/pod/env.h"
#include "provider/pod/resources.h"
#include "provider/pod/security.h"
#include "runtime/base/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <utility>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

constexpr char kPortsAnnotation[] = "io.kubernetes.container.ports";
constexpr char kDeletionGraceAnnotation[] = "io.kubernetes.pod.deletionGracePeriod";

std::string PortsJson(const kube::Container& container) {
  Json ports = Json::array();
  for (const kube::ContainerPort& port : container.ports) {
    Json item = {{"containerPort", port.container_port}, {"protocol", port.protocol}};
    if (!port.name.empty()) {
      item["name"] = port.name;
    }
    if (port.host_port != 0) {
      item["hostPort"] = port.host_port;
    }
    if (!port.host_ip.empty()) {
      item["hostIP"] = port.host_ip;
    }
    ports.push_back(std::move(item));
  }
  return JsonText(ports);
}

cri::StringMap Annotations(const kube::Pod& pod, const ContainerInputs& inputs) {
  const kube::Container& container = inputs.container;
  cri::StringMap annotations{
      {kHashAnnotation, ContainerHash(container)},
      {kRestartCountAnnotation, std::to_string(inputs.restart_count)},
      {kTerminationPathAnnotation, container.termination_message_path},
      {kTerminationPolicyAnnotation, container.termination_message_policy},
      {kPodGraceAnnotation, std::to_string(pod.spec.termination_grace_period.count())}};
  if (pod.meta.deletion_grace_period) {
    annotations[kDeletionGraceAnnotation] = std::to_string(pod.meta.deletion_grace_period->count());
  }
  if (!container.ports.empty()) {
    annotations[kPortsAnnotation] = PortsJson(container);
  }
  return annotations;
}

std::vector<std::string> ExpandAll(const std::vector<std::string>& texts,
                                   const std::vector<cri::EnvVar>& env) {
  std::map<std::string, std::string> variables;
  for (const cri::EnvVar& variable : env) {
    variables[variable.name] = variable.value;
  }
  std::vector<std::string> expanded;
  expanded.reserve(texts.size());
  for (const std::string& text : texts) {
    expanded.push_back(Expand(text, variables));
  }
  return expanded;
}

}  // namespace

// FNV-1a over the JSON of name and image, the fields that Kubernetes looks at too.
std::string ContainerHash(const kube::Container& container) {
  const Json fields = {{"name", container.name}, {"image", container.image}};
  uint32_t hash = 2166136261U;
  for (const char c : JsonText(fields)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return fmt::format("{:x}", hash);
}

Result<cri::ContainerConfig> MakeContainerConfig(const kube::Pod& pod,
                                                 const ContainerInputs& inputs,
                                                 const NodeContext& node) {
  const kube::Container& container = inputs.container;
  cri::ContainerConfig config;
  config.metadata = {.name = container.name, .attempt = inputs.restart_count};
  config.image = inputs.image_ref;
  config.user_specified_image = container.image;
  config.command = ExpandAll(container.command, inputs.env);
  config.args = ExpandAll(container.args, inputs.env);
  config.working_dir = container.working_dir;
  config.envs = inputs.env;
  config.mounts = inputs.mounts;
  config.labels = {{cri::labels::kContainerName, container.name},
                   {cri::labels::kPodName, pod.meta.name},
                   {cri::labels::kPodNamespace, pod.meta.object_namespace},
                   {cri::labels::kPodUid, pod.meta.uid},
                   {cri::labels::kOwner, node.node_name}};
  config.annotations = Annotations(pod, inputs);
  config.log_path = fmt::format("{}/{}.log", container.name, inputs.restart_count);
  config.stdin_open = container.stdin_open;
  config.stdin_once = container.stdin_once;
  config.tty = container.tty;
  config.resources = ContainerResources(pod, container, node);
  FARLET_ASSIGN(config.security, MakeContainerSecurity(pod, inputs, node));
  return config;
}

}  // namespace farlet::pod
