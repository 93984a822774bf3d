#include "provider/node/node_object.h"

#include "provider/node/capacity.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::node {
namespace {

constexpr size_t kMaxImages = 50;
constexpr size_t kMaxNamesPerImage = 5;
constexpr char kOurVersionMark[] = "farlet";

Json Amounts(const ResourceList& resources) {
  Json amounts = Json::object();
  for (const auto& [name, amount] : resources) {
    amounts[name] = FormatResource(name, amount);
  }
  return amounts;
}

Json NodeInfo(const StatusInput& input) {
  std::string runtime;
  if (!input.runtime.name.empty()) {
    runtime = fmt::format("{}://{}", input.runtime.name, input.runtime.version);
  }
  return Json{{"machineID", input.host.machine_id},
              {"systemUUID", input.host.system_uuid},
              {"bootID", input.host.boot_id},
              {"kernelVersion", input.host.kernel_version},
              {"osImage", input.host.os_image},
              {"containerRuntimeVersion", runtime},
              {"kubeletVersion", input.settings.kubelet_version},
              {"kubeProxyVersion", ""},
              {"operatingSystem", "linux"},
              {"architecture", input.host.architecture}};
}

Json Addresses(const StatusInput& input) {
  Json addresses = Json::array();
  for (const std::string& ip : input.ips) {
    addresses.push_back({{"type", "InternalIP"}, {"address", ip}});
  }
  addresses.push_back({{"type", "Hostname"}, {"address", input.settings.name}});
  return addresses;
}

Json Images(const std::vector<cri::Image>& images) {
  std::vector<const cri::Image*> largest;
  largest.reserve(images.size());
  for (const cri::Image& image : images) {
    largest.push_back(&image);
  }
  std::stable_sort(largest.begin(), largest.end(), [](const cri::Image* a, const cri::Image* b) {
    return a->size_bytes != b->size_bytes ? a->size_bytes > b->size_bytes : a->id < b->id;
  });
  Json result = Json::array();
  for (const cri::Image* image : largest) {
    Json names = Json::array();
    for (const auto* list : {&image->repo_digests, &image->repo_tags}) {
      for (const std::string& name : *list) {
        if (names.size() < kMaxNamesPerImage) {
          names.push_back(name);
        }
      }
    }
    if (!names.empty() && result.size() < kMaxImages) {
      result.push_back({{"names", std::move(names)}, {"sizeBytes", image->size_bytes}});
    }
  }
  return result;
}

Json Handlers(const std::vector<cri::RuntimeHandler>& handlers) {
  Json result = Json::array();
  for (const cri::RuntimeHandler& handler : handlers) {
    result.push_back({{"name", handler.name},
                      {"features",
                       {{"recursiveReadOnlyMounts", handler.recursive_readonly_mounts},
                        {"userNamespaces", handler.user_namespaces}}}});
  }
  return result;
}

void SetOrErase(Json& object, const char* member, Json value) {
  if (value.empty()) {
    object.erase(member);
  } else {
    object[member] = std::move(value);
  }
}

std::string TextAt(const Json& object, const Json::json_pointer& where) {
  const Json value = object.is_object() ? object.value(where, Json()) : Json();
  return value.is_string() ? value.get<std::string>() : std::string();
}

StringMap Annotations(const HostFacts& host) {
  return {{"volumes.kubernetes.io/controller-managed-attach-detach", "true"},
          {kAgentAnnotation, AgentId(host)}};
}

}  // namespace

std::string AgentId(const HostFacts& host) {
  return host.machine_id.empty() ? "unknown" : host.machine_id;
}

StringMap NodeLabels(const NodeSettings& settings, const HostFacts& host) {
  StringMap labels{{"kubernetes.io/hostname", settings.name},
                   {"kubernetes.io/os", "linux"},
                   {"kubernetes.io/arch", host.architecture},
                   {"beta.kubernetes.io/os", "linux"},
                   {"beta.kubernetes.io/arch", host.architecture}};
  for (const auto& [name, value] : settings.labels) {
    labels[name] = value;
  }
  return labels;
}

Json BuildNode(const NodeSettings& settings, const HostFacts& host, Json status) {
  Json spec = Json::object();
  for (const Taint& taint : settings.taints) {
    Json entry{{"key", taint.key}, {"effect", taint.effect}};
    if (!taint.value.empty()) {
      entry["value"] = taint.value;
    }
    spec["taints"].push_back(std::move(entry));
  }
  if (!settings.provider_id.empty()) {
    spec["providerID"] = settings.provider_id;
  }
  return Json{{"apiVersion", "v1"},
              {"kind", "Node"},
              {"metadata",
               {{"name", settings.name},
                {"labels", NodeLabels(settings, host)},
                {"annotations", Annotations(host)}}},
              {"spec", std::move(spec)},
              {"status", std::move(status)}};
}

Json AdoptNode(Json node, const NodeSettings& settings, const HostFacts& host) {
  for (const auto& [name, value] : NodeLabels(settings, host)) {
    node["metadata"]["labels"][name] = value;
  }
  for (const auto& [name, value] : Annotations(host)) {
    node["metadata"]["annotations"][name] = value;
  }
  return node;
}

Json BuildStatus(const Json& before, const StatusInput& input) {
  Json status = before.is_object() ? before : Json::object();
  status["capacity"] = Amounts(input.capacity.capacity);
  status["allocatable"] = Amounts(input.capacity.allocatable);
  status["addresses"] = Addresses(input);
  status["daemonEndpoints"]["kubeletEndpoint"]["Port"] = input.settings.port;
  // While the runtime is silent, what it said last stays.
  Json info = NodeInfo(input);
  if (input.runtime.name.empty()) {
    info["containerRuntimeVersion"] =
        TextAt(status, "/nodeInfo/containerRuntimeVersion"_json_pointer);
  }
  // Fields of newer releases (swap) stay; ours are set.
  status["nodeInfo"].update(info);
  if (input.runtime.reachable) {
    SetOrErase(status, "images", Images(input.runtime.images));
    SetOrErase(status, "runtimeHandlers", Handlers(input.runtime.handlers));
  }
  const Json known = status.value("conditions", Json());
  const Json computed = ComputeConditions(
      input.pressure, NotReadyReasons(input.runtime, input.capacity.capacity, input.now));
  status["conditions"] = StampConditions(known, computed, input.wall_now);
  return status;
}

std::string ForeignOwner(const Json& node, const HostFacts& host) {
  const Json annotations = node.value("/metadata/annotations"_json_pointer, Json::object());
  const std::string version = TextAt(node, "/status/nodeInfo/kubeletVersion"_json_pointer);
  std::string owner;
  if (annotations.contains(kAgentAnnotation)) {
    if (annotations[kAgentAnnotation] == AgentId(host)) {
      return {};
    }
    owner = fmt::format("a farlet agent on the machine {}", annotations[kAgentAnnotation].dump());
  } else if (!version.empty() && version.find(kOurVersionMark) == std::string::npos) {
    owner = fmt::format("a kubelet {} on the machine \"{}\"", version,
                        TextAt(node, "/status/nodeInfo/machineID"_json_pointer));
  } else {
    return {};
  }
  const Json conditions = node.value("/status/conditions"_json_pointer, Json::array());
  for (const Json& condition : conditions) {
    if (condition.value("type", "") == "Ready" && condition.value("status", "") == "Unknown") {
      return {};
    }
  }
  return owner;
}

}  // namespace farlet::node
