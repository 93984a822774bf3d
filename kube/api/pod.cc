#include "kube/api/pod.h"

#include "kube/api/field_reader.h"
#include "kube/api/pod_parse.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace farlet::kube {
namespace {

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

// uid, namespace and name become parts of paths.
bool IsPathSafe(std::string_view text) {
  constexpr size_t kMaxLength = 253;
  return !text.empty() && text.size() <= kMaxLength && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), IsWordChar);
}

Status CheckIdentity(const ObjectMeta& meta) {
  const std::array<std::pair<const char*, const std::string*>, 3> fields{
      {{"uid", &meta.uid}, {"namespace", &meta.object_namespace}, {"name", &meta.name}}};
  for (const auto& [name, value] : fields) {
    if (!IsPathSafe(*value)) {
      return InvalidArgument(fmt::format("metadata.{}: {}", name,
                                         value->empty() ? "is missing" : "has bad characters"));
    }
  }
  return {};
}

template <size_t N>
void CheckOneOf(const FieldReader& in,
                std::string_view key,
                const std::string& value,
                const std::array<std::string_view, N>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
    in.Fail(key,
            fmt::format("\"{}\" is not one of {}", value.substr(0, 64), fmt::join(allowed, ", ")));
  }
}

PodSecurityContext ParsePodSecurity(const FieldReader& in,
                                    std::vector<std::string>& not_understood) {
  PodSecurityContext security;
  in.Read("runAsUser", security.run_as_user);
  in.Read("runAsGroup", security.run_as_group);
  in.Read("runAsNonRoot", security.run_as_non_root);
  in.Read("fsGroup", security.fs_group);
  in.Read("supplementalGroups", security.supplemental_groups);
  security.seccomp = ParseSecurityProfile(in.Object("seccompProfile"));
  security.apparmor = ParseSecurityProfile(in.Object("appArmorProfile"));
  in.List("sysctls", [&](const FieldReader& item) {
    std::string name;
    std::string value;
    item.Read("name", name);
    item.Read("value", value);
    // Both spellings are allowed; the runtime wants dots.
    std::replace(name.begin(), name.end(), '/', '.');
    security.sysctls[name] = value;
  });
  std::string policy;
  in.Read("supplementalGroupsPolicy", policy);
  if (!policy.empty() && policy != "Merge") {
    not_understood.push_back(in.Path() + ".supplementalGroupsPolicy");
  }
  return security;
}

PodDnsConfig ParseDnsConfig(const FieldReader& in) {
  PodDnsConfig dns;
  in.Read("nameservers", dns.nameservers);
  in.Read("searches", dns.searches);
  in.List("options", [&](const FieldReader& item) {
    std::string name;
    std::optional<std::string> value;
    item.Read("name", name);
    item.Read("value", value);
    dns.options.emplace_back(std::move(name), std::move(value));
  });
  return dns;
}

Toleration ParseToleration(const FieldReader& in) {
  Toleration toleration;
  in.Read("key", toleration.key);
  in.Read("operator", toleration.op);
  in.Read("value", toleration.value);
  in.Read("effect", toleration.effect);
  return toleration;
}

void ParseLists(const FieldReader& in, PodSpec& spec) {
  in.List("imagePullSecrets", [&](const FieldReader& item) {
    std::string name;
    item.Read("name", name);
    if (!name.empty()) {
      spec.image_pull_secrets.push_back(std::move(name));
    }
  });
  in.List("readinessGates", [&](const FieldReader& item) {
    item.Read("conditionType", spec.readiness_gates.emplace_back());
  });
  in.List("hostAliases", [&](const FieldReader& item) {
    HostAlias& alias = spec.host_aliases.emplace_back();
    item.Read("ip", alias.ip);
    item.Read("hostnames", alias.hostnames);
  });
  in.List("tolerations",
          [&](const FieldReader& item) { spec.tolerations.push_back(ParseToleration(item)); });
  in.List("volumes", [&](const FieldReader& item) { spec.volumes.push_back(ParseVolume(item)); });
  in.List("initContainers", [&](const FieldReader& item) {
    spec.init_containers.push_back(ParseContainer(item, spec.not_understood));
  });
  in.List("containers", [&](const FieldReader& item) {
    if (item.Has("restartPolicy")) {
      spec.not_understood.push_back(item.Path() + ".restartPolicy");
    }
    spec.containers.push_back(ParseContainer(item, spec.not_understood));
  });
}

void ParseScalars(const FieldReader& in, PodSpec& spec) {
  in.Read("nodeName", spec.node_name);
  in.Read("restartPolicy", spec.restart_policy);
  in.Read("serviceAccountName", spec.service_account_name);
  in.Read("hostname", spec.hostname);
  in.Read("hostnameOverride", spec.hostname_override);
  in.Read("subdomain", spec.subdomain);
  in.Read("dnsPolicy", spec.dns_policy);
  in.Read("runtimeClassName", spec.runtime_class_name);
  in.Read("priorityClassName", spec.priority_class_name);
  in.Read("hostNetwork", spec.host_network);
  in.Read("hostPID", spec.host_pid);
  in.Read("hostIPC", spec.host_ipc);
  in.Read("shareProcessNamespace", spec.share_process_namespace);
  in.Read("setHostnameAsFQDN", spec.set_hostname_as_fqdn);
  in.Read("enableServiceLinks", spec.enable_service_links);
  in.Read("terminationGracePeriodSeconds", spec.termination_grace_period);
  in.Read("activeDeadlineSeconds", spec.active_deadline);
  spec.dns_config = ParseDnsConfig(in.Object("dnsConfig"));
  spec.overhead = ParseResourceList(in, "overhead");
  CheckOneOf<3>(in, "restartPolicy", spec.restart_policy, {"Always", "OnFailure", "Never"});
  CheckOneOf<4>(in, "dnsPolicy", spec.dns_policy,
                {"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"});
}

// Fields of the spec itself that PodSpec has no place for.
void NoteOthers(const FieldReader& in, PodSpec& spec) {
  bool host_users = true;
  in.Read("hostUsers", host_users);
  if (!host_users) {
    spec.not_understood.push_back(in.Path() + ".hostUsers");
  }
  for (const char* key : {"resources", "resourceClaims"}) {
    const nlohmann::json* value = in.Find(key);
    if (value != nullptr && !value->empty()) {
      spec.not_understood.push_back(fmt::format("{}.{}", in.Path(), key));
    }
  }
}

template <class Item>
void CheckNames(const FieldReader& in,
                const char* list,
                const std::vector<Item>& items,
                std::set<std::string>& seen) {
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string& name = items[i].name;
    const std::string key = fmt::format("{}[{}].name", list, i);
    if (!IsDnsLabel(name)) {
      in.Fail(key, fmt::format("\"{}\" is not a DNS label", name.substr(0, 64)));
    } else if (!seen.insert(name).second) {
      in.Fail(key, fmt::format("\"{}\" is there twice", name));
    }
  }
}

PodSpec ParseSpec(const FieldReader& in) {
  PodSpec spec;
  ParseScalars(in, spec);
  spec.security = ParsePodSecurity(in.Object("securityContext"), spec.not_understood);
  ParseLists(in, spec);
  NoteOthers(in, spec);
  std::set<std::string> containers;
  CheckNames(in, "initContainers", spec.init_containers, containers);
  CheckNames(in, "containers", spec.containers, containers);
  std::set<std::string> volumes;
  CheckNames(in, "volumes", spec.volumes, volumes);
  if (spec.containers.empty()) {
    in.Fail("containers", "must not be empty");
  }
  return spec;
}

}  // namespace

bool IsDnsLabel(std::string_view text) {
  constexpr size_t kMaxLength = 63;
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= kMaxLength && alphanumeric(text.front()) &&
         alphanumeric(text.back()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}

Result<Pod> Pod::FromJson(nlohmann::json object) {
  Pod pod;
  FARLET_ASSIGN(pod.meta, ParseObjectMeta(object));
  FARLET_TRY(CheckIdentity(pod.meta));
  FieldErrors errors;
  const FieldReader root(object, "", errors);
  pod.spec = ParseSpec(root.Object("spec"));
  root.Object("status").Read("phase", pod.phase);
  if (errors.first()) {
    pod.invalid = errors.first();
  }
  object["metadata"].erase("managedFields");
  pod.raw = std::make_shared<const nlohmann::json>(std::move(object));
  return pod;
}

std::string Pod::Format() const {
  return fmt::format("{}_{}({})", meta.name, meta.object_namespace, meta.uid);
}

}  // namespace farlet::kube
