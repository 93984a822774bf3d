#pragma once

#include "kube/api/meta.h"
#include "kube/api/quantity.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::fargate {

using Amounts = std::map<std::string, kube::Quantity>;  // "cpu", "memory", …

struct ContainerFacts {
  std::string name;
  bool init = false;
  bool sidecar = false;  // an init container that runs as long as the pod
  Amounts requests;      // of what has only a limit: that
  Amounts limits;
  bool privileged = false;
  std::vector<std::string> added_capabilities;  // as they are written
  bool host_port = false;                       // hostPort or hostIP
  bool devices = false;                         // volumeDevices
};

struct VolumeFacts {
  std::string name;
  std::string type;   // the field's name: "hostPath"
  std::string path;   // of a hostPath
  std::string claim;  // of a persistentVolumeClaim
  bool huge_pages = false;
};

// What decides whether, where and in what size a pod runs: read from a pod that is about to be
// created (no uid, perhaps only a generateName) as well as from one that exists.
struct PodFacts {
  std::string object_namespace;
  std::string name;  // or generateName
  kube::StringMap labels;
  kube::StringMap annotations;
  bool daemon_set = false;  // a DaemonSet controls it
  bool mirror = false;      // the image of a kubelet's static pod
  std::string node_name;
  kube::StringMap node_selector;
  std::string scheduler_name;
  std::string runtime_class;
  std::string os;
  bool host_network = false;
  bool host_pid = false;
  bool host_ipc = false;
  bool resource_claims = false;
  Amounts requests;  // of the pod as a whole, which then stand instead of the containers'
  std::vector<ContainerFacts> containers;  // init containers first
  std::vector<VolumeFacts> volumes;

  // `object_namespace` is that of the request, which a pod to be created need not repeat; empty:
  // "default". Errors name the field.
  static Result<PodFacts> FromJson(const nlohmann::json& pod, std::string_view object_namespace);
};

}  // namespace farlet::fargate
