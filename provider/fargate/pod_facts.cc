#include "provider/fargate/pod_facts.h"

#include "kube/api/field_reader.h"

#include <nlohmann/json.hpp>

#include <array>
#include <utility>

namespace farlet::fargate {
namespace {

using kube::FieldReader;

constexpr char kMirrorAnnotation[] = "kubernetes.io/config.mirror";

void ReadOwners(const FieldReader& in, PodFacts& pod) {
  in.List("ownerReferences", [&](const FieldReader& item) {
    std::string kind;
    bool controller = false;
    item.Read("kind", kind);
    item.Read("controller", controller);
    pod.daemon_set = pod.daemon_set || (controller && kind == "DaemonSet");
  });
}

void ReadMeta(const FieldReader& in, PodFacts& pod) {
  in.Read("generateName", pod.name);
  in.Read("name", pod.name);
  if (pod.object_namespace.empty()) {
    in.Read("namespace", pod.object_namespace);
  }
  in.Read("labels", pod.labels);
  in.Read("annotations", pod.annotations);
  ReadOwners(in, pod);
  pod.mirror = pod.annotations.contains(kMirrorAnnotation);
}

void ReadSecurity(const FieldReader& in, ContainerFacts& container) {
  in.Read("privileged", container.privileged);
  in.Object("capabilities").Read("add", container.added_capabilities);
}

void ReadPorts(const FieldReader& in, ContainerFacts& container) {
  in.List("ports", [&](const FieldReader& port) {
    int32_t host_port = 0;
    std::string host_ip;
    port.Read("hostPort", host_port);
    port.Read("hostIP", host_ip);
    container.host_port = container.host_port || host_port != 0 || !host_ip.empty();
  });
}

ContainerFacts ReadContainer(const FieldReader& in, bool init) {
  ContainerFacts container;
  container.init = init;
  in.Read("name", container.name);
  std::string restart_policy;
  in.Read("restartPolicy", restart_policy);
  container.sidecar = init && restart_policy == "Always";
  const FieldReader resources = in.Object("resources");
  resources.Read("requests", container.requests);
  resources.Read("limits", container.limits);
  // The API server fills in requests in the same way.
  container.requests.insert(container.limits.begin(), container.limits.end());
  ReadSecurity(in.Object("securityContext"), container);
  ReadPorts(in, container);
  const nlohmann::json* devices = in.Find("volumeDevices");
  container.devices = devices != nullptr && !devices->empty();
  return container;
}

VolumeFacts ReadVolume(const FieldReader& in) {
  VolumeFacts volume;
  in.Read("name", volume.name);
  for (std::string& key : in.Keys()) {
    if (key != "name") {
      volume.type = std::move(key);
      break;
    }
  }
  if (volume.type.empty()) {
    volume.type = "emptyDir";  // what a volume without a source is
  }
  in.Object("hostPath").Read("path", volume.path);
  in.Object("persistentVolumeClaim").Read("claimName", volume.claim);
  std::string medium;
  in.Object("emptyDir").Read("medium", medium);
  volume.huge_pages = medium.starts_with("HugePages");
  return volume;
}

void ReadSpec(const FieldReader& in, PodFacts& pod) {
  in.Read("nodeName", pod.node_name);
  in.Read("nodeSelector", pod.node_selector);
  in.Read("schedulerName", pod.scheduler_name);
  in.Read("runtimeClassName", pod.runtime_class);
  in.Read("hostNetwork", pod.host_network);
  in.Read("hostPID", pod.host_pid);
  in.Read("hostIPC", pod.host_ipc);
  in.Object("os").Read("name", pod.os);
  const nlohmann::json* claims = in.Find("resourceClaims");
  pod.resource_claims = claims != nullptr && !claims->empty();
  const FieldReader resources = in.Object("resources");
  Amounts limits;
  resources.Read("requests", pod.requests);
  resources.Read("limits", limits);
  pod.requests.insert(limits.begin(), limits.end());
  in.List("initContainers",
          [&](const FieldReader& item) { pod.containers.push_back(ReadContainer(item, true)); });
  in.List("containers",
          [&](const FieldReader& item) { pod.containers.push_back(ReadContainer(item, false)); });
  in.List("volumes", [&](const FieldReader& item) { pod.volumes.push_back(ReadVolume(item)); });
}

}  // namespace

Result<PodFacts> PodFacts::FromJson(const nlohmann::json& pod, std::string_view object_namespace) {
  PodFacts facts;
  facts.object_namespace = object_namespace;
  kube::FieldErrors errors;
  const FieldReader root(pod, "", errors);
  ReadMeta(root.Object("metadata"), facts);
  if (facts.object_namespace.empty()) {
    facts.object_namespace = "default";
  }
  const FieldReader spec = root.Object("spec");
  ReadSpec(spec, facts);
  const nlohmann::json* containers = spec.Find("containers");
  if (containers == nullptr || containers->empty()) {
    spec.Fail("containers", "is missing");
  }
  if (errors.first()) {
    return *errors.first();
  }
  return facts;
}

}  // namespace farlet::fargate
