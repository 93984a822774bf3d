#include "provider/fargate/support.h"

#include "provider/fargate/names.h"
#include "provider/fargate/profile_fields.h"
#include "runtime/base/ulimit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::fargate {
namespace {

// What a container has anyway (EKS best practices, "pods").
constexpr std::array<std::string_view, 14> kDefaultCapabilities{
    "AUDIT_WRITE", "CHOWN",   "DAC_OVERRIDE", "FOWNER",           "FSETID",
    "KILL",        "MKNOD",   "NET_RAW",      "NET_BIND_SERVICE", "SETGID",
    "SETUID",      "SETFCAP", "SETPCAP",      "SYS_CHROOT"};

constexpr std::array<std::string_view, 5> kVolumeTypes{"emptyDir", "configMap", "secret",
                                                       "downwardAPI", "projected"};

constexpr std::array<std::string_view, 5> kResources{"cpu", "memory", "ephemeral-storage",
                                                     kMilliCpuResource, kMemoryResource};

template <class List, class Item>
bool Contains(const List& list, const Item& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// Whether `path` is `root` or below it; never by way of "..".
bool IsBelow(std::string_view path, std::string_view root) {
  while (root.size() > 1 && root.ends_with('/')) {
    root.remove_suffix(1);
  }
  if (path.find("..") != std::string_view::npos || root.empty() || !path.starts_with(root)) {
    return false;
  }
  return root == "/" || path.size() == root.size() || path[root.size()] == '/';
}

// The parts of the message, in their order.
class Check {
 public:
  Check(const PodFacts& pod, const AllowList& allow, const std::string& runtime_class)
      : pod_(pod), allow_(allow), runtime_class_(runtime_class) {}

  std::vector<std::string> Find() && {
    Add("fields not supported: ", Fields(), ", ");
    Add("invalid SecurityContext fields: ", SecurityFields(), ",");
    if (!allow_.host_ports && std::any_of(pod_.containers.begin(), pod_.containers.end(),
                                          [](const auto& one) { return one.host_port; })) {
      parts_.emplace_back("port contains HostIP or HostPort");
    }
    Add("volumes not supported: ", Volumes(), ", ");
    Add("resources not supported: ", Resources(), ", ");
    Add("ulimits not supported: ", Ulimits(), ", ");
    return std::move(parts_);
  }

 private:
  void Add(std::string_view what, const std::vector<std::string>& items, std::string_view between) {
    if (!items.empty()) {
      parts_.push_back(fmt::format("{}{}", what, fmt::join(items, between)));
    }
  }

  std::vector<std::string> Fields() const {
    std::vector<std::string> fields;
    const auto add = [&](bool used, const char* name) {
      if (used) {
        fields.emplace_back(name);
      }
    };
    add(pod_.host_network, "HostNetwork");
    add(pod_.host_pid, "HostPID");
    add(pod_.host_ipc, "HostIPC");
    // AWS's words for the following are not known; these are in its grammar.
    add(!pod_.os.empty() && pod_.os != "linux", "OS");
    add(!pod_.runtime_class.empty() && pod_.runtime_class != runtime_class_ &&
            !Contains(allow_.runtime_classes, pod_.runtime_class),
        "RuntimeClassName");
    add(pod_.resource_claims, "ResourceClaims");
    add(std::any_of(pod_.containers.begin(), pod_.containers.end(),
                    [](const auto& one) { return one.devices; }),
        "VolumeDevices");
    return fields;
  }

  bool MayAdd(const std::string& capability) const {
    const std::string name = CapabilityName(capability);
    return Contains(kDefaultCapabilities, name) || Contains(allow_.capabilities, name) ||
           Contains(allow_.capabilities, "*");
  }

  std::vector<std::string> SecurityFields() const {
    std::vector<std::string> fields;
    for (const ContainerFacts& container : pod_.containers) {
      if (container.privileged && !allow_.privileged) {
        fields.emplace_back("Privileged");
      }
    }
    for (const ContainerFacts& container : pod_.containers) {
      std::vector<std::string> refused;
      std::copy_if(container.added_capabilities.begin(), container.added_capabilities.end(),
                   std::back_inserter(refused),
                   [this](const std::string& name) { return !MayAdd(name); });
      if (!refused.empty()) {
        fields.push_back(fmt::format("Capabilities added: {}", fmt::join(refused, ",")));
      }
    }
    return fields;
  }

  bool IsSupported(const VolumeFacts& volume) const {
    if (volume.type == "hostPath") {
      return std::any_of(allow_.host_paths.begin(), allow_.host_paths.end(),
                         [&](const std::string& root) { return IsBelow(volume.path, root); });
    }
    return (Contains(kVolumeTypes, volume.type) && !volume.huge_pages) ||
           Contains(allow_.volume_types, volume.type);
  }

  std::vector<std::string> Volumes() const {
    std::vector<std::string> volumes;
    for (const VolumeFacts& volume : pod_.volumes) {
      if (!IsSupported(volume)) {
        volumes.push_back(fmt::format("{} is of an unsupported volume Type", volume.name));
      }
    }
    return volumes;
  }

  std::vector<std::string> Resources() const {
    std::set<std::string> refused;
    for (const ContainerFacts& container : pod_.containers) {
      for (const auto& [name, quantity] : container.requests) {
        if (!quantity.is_zero() && !Contains(kResources, name) &&
            !Contains(allow_.resources, name)) {
          refused.insert(name);
        }
      }
    }
    return {refused.begin(), refused.end()};
  }

  std::vector<std::string> Ulimits() const {
    const auto asked = pod_.annotations.find(std::string(kUlimitsAnnotation));
    if (asked == pod_.annotations.end()) {
      return {};
    }
    const auto limits = ParseUlimits(asked->second);
    if (!limits) {
      return {limits.error().message};
    }
    std::vector<std::string> refused;
    for (const Ulimit& limit : *limits) {
      if (!Contains(allow_.ulimits, limit.name) && !Contains(allow_.ulimits, "*")) {
        refused.push_back(limit.name);
      }
    }
    return refused;
  }

  const PodFacts& pod_;
  const AllowList& allow_;
  const std::string& runtime_class_;
  std::vector<std::string> parts_;
};

}  // namespace

std::string UnsupportedMessage(const PodFacts& pod,
                               const AllowList& allow,
                               const std::string& runtime_class) {
  const std::vector<std::string> parts = Check(pod, allow, runtime_class).Find();
  return parts.empty() ? std::string()
                       : fmt::format("Pod not supported on Fargate: {}", fmt::join(parts, ", "));
}

}  // namespace farlet::fargate
