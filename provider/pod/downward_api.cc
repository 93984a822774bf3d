#include "provider/pod/env.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace farlet::pod {
namespace {

// Go's strconv.Quote, which downward API files are written with: printable UTF-8 stays.
std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        quoted += "\\\"";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\t':
        quoted += "\\t";
        break;
      case '\r':
        quoted += "\\r";
        break;
      case '\a':
        quoted += "\\a";
        break;
      case '\b':
        quoted += "\\b";
        break;
      case '\f':
        quoted += "\\f";
        break;
      case '\v':
        quoted += "\\v";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
          quoted += c;
        }
    }
  }
  return quoted + '"';
}

std::string FormatMap(const kube::StringMap& map) {
  std::string lines;
  for (const auto& [key, value] : map) {
    lines += (lines.empty() ? "" : "\n") + key + "=" + Quote(value);
  }
  return lines;
}

// "metadata.labels['key']" → ("metadata.labels", "key").
std::optional<std::pair<std::string_view, std::string_view>> SplitSubscript(std::string_view path) {
  const size_t open = path.find("['");
  if (!path.ends_with("']") || open == std::string_view::npos || open == 0 ||
      open + 2 > path.size() - 2) {
    return std::nullopt;
  }
  return std::pair(path.substr(0, open), path.substr(open + 2, path.size() - open - 4));
}

std::string ValueOr(const kube::StringMap& map, std::string_view key) {
  const auto found = map.find(std::string(key));
  return found == map.end() ? "" : found->second;
}

kube::Quantity Amount(const kube::ResourceList& list, const std::string& name) {
  const auto found = list.find(name);
  return found == list.end() ? kube::Quantity() : found->second;
}

const kube::Container* FindContainer(const kube::PodSpec& spec, const std::string& name) {
  for (const auto* list : {&spec.containers, &spec.init_containers}) {
    for (const kube::Container& container : *list) {
      if (container.name == name) {
        return &container;
      }
    }
  }
  return nullptr;
}

int64_t CeilDivide(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor > 0 ? 1 : 0);
}

bool IsNodeResource(const std::string& name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage";
}

}  // namespace

Result<std::string> FieldValue(const kube::FieldSelector& field, const EnvContext& context) {
  const kube::ObjectMeta& meta = context.pod.meta;
  const std::string& path = field.field_path;
  if (const auto subscript = SplitSubscript(path)) {
    if (subscript->first == "metadata.labels") {
      return ValueOr(meta.labels, subscript->second);
    }
    if (subscript->first == "metadata.annotations") {
      return ValueOr(meta.annotations, subscript->second);
    }
    return InvalidArgument(fmt::format("fieldPath \"{}\" does not support subscript", path));
  }
  if (path == "metadata.labels") {
    return FormatMap(meta.labels);
  }
  if (path == "metadata.annotations") {
    return FormatMap(meta.annotations);
  }
  if (path == "status.podIPs") {
    return fmt::format("{}", fmt::join(context.pod_ips, ","));
  }
  if (path == "status.podIP") {
    return context.pod_ips.empty() ? "" : context.pod_ips.front();
  }
  const std::array<std::pair<std::string_view, const std::string*>, 8> fields{
      {{"metadata.name", &meta.name},
       {"metadata.namespace", &meta.object_namespace},
       {"metadata.uid", &meta.uid},
       {"spec.nodeName", &context.node_name},
       {"spec.serviceAccountName", &context.pod.spec.service_account_name},
       {"status.hostIP", &context.host_ip},
       {"status.hostIPs", &context.host_ip},
       // The name that the first Kubernetes releases gave to spec.nodeName.
       {"spec.host", &context.node_name}}};
  const auto* const found = std::find_if(fields.begin(), fields.end(),
                                         [&](const auto& item) { return item.first == path; });
  if (found == fields.end()) {
    return InvalidArgument(fmt::format("unsupported fieldPath: {}", path));
  }
  return *found->second;
}

Result<std::string> ResourceFieldValue(const kube::ResourceFieldSelector& field,
                                       const kube::Container* own_container,
                                       const EnvContext& context) {
  const kube::Container* container = field.container_name.empty()
                                         ? own_container
                                         : FindContainer(context.pod.spec, field.container_name);
  if (container == nullptr) {
    return InvalidArgument(fmt::format("container {} not found", field.container_name));
  }
  const bool limit = field.resource.starts_with("limits.");
  if (!limit && !field.resource.starts_with("requests.")) {
    return InvalidArgument(fmt::format("unsupported container resource : {}", field.resource));
  }
  const std::string name = field.resource.substr(field.resource.find('.') + 1);
  if (!IsNodeResource(name) && !name.starts_with("hugepages-")) {
    return InvalidArgument(fmt::format("unsupported container resource : {}", field.resource));
  }
  const kube::ResourceRequirements& resources = container->resources;
  kube::Quantity amount = Amount(limit ? resources.limits : resources.requests, name);
  if (limit && amount.is_zero() && IsNodeResource(name)) {
    amount = Amount(context.node_allocatable, name);
  }
  const kube::Quantity divisor =
      field.divisor > kube::Quantity() ? field.divisor : kube::Quantity::FromMilli(1000);
  return std::to_string(name == "cpu" ? CeilDivide(amount.milli(), divisor.milli())
                                      : CeilDivide(amount.value(), divisor.value()));
}

}  // namespace farlet::pod
