#include "runtime/shim/spec/container_spec.h"

#include "runtime/base/ulimit.h"
#include "runtime/shim/spec/cursor.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/spec/process.h"
#include "runtime/shim/spec/resources.h"
#include "runtime/shim/spec/seccomp.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

namespace farlet::shim {
namespace {

constexpr size_t kMaxExecJson = 2u << 20;

void RefuseHooks(const Cursor& hooks) {
  hooks.EachMember([](const std::string& name, const Cursor& list) {
    list.EachItem([&](const Cursor& /*hook*/) {
      list.Refuse(fmt::format("{} hooks run on the host, where a container in a VM is not", name),
                  Code::kFailedPrecondition);
    });
  });
}

void TranslateNamespaces(const Cursor& namespaces, guest::v1::CreateContainerRequest& request) {
  bool own_pid = false;
  namespaces.EachItem([&](const Cursor& item) {
    const std::string type = item["type"].Text();
    const bool joins = !item["path"].Text().empty();
    if (type == "pid") {
      own_pid = true;
      // CRI names the sandbox's process, or that of a target container: all are the VM's.
      request.mutable_namespaces()->set_pid(joins ? guest::v1::Namespaces::SANDBOX
                                                  : guest::v1::Namespaces::OWN);
    } else if (type == "user") {
      item.Refuse("user namespaces are not supported in a VM", Code::kFailedPrecondition);
    }
  });
  if (!own_pid) {
    namespaces.Refuse("a container in a VM cannot use the host's pid namespace",
                      Code::kFailedPrecondition);
  }
}

void TranslateDevices(const Cursor& devices, guest::v1::CreateContainerRequest& request) {
  devices.EachItem([&](const Cursor& item) {
    const std::string type = item["type"].Text();
    const uint64_t major = item["major"].Unsigned(UINT32_MAX);
    const uint64_t minor = item["minor"].Unsigned(UINT32_MAX);
    if (type != "p" && !IsGuestDevice(major, minor, type == "b")) {
      item.Refuse(fmt::format("{}: a container in a VM cannot have a device of its host; for "
                              "privileged pods set privileged_without_host_devices",
                              item["path"].Text()),
                  Code::kFailedPrecondition);
      return;
    }
    auto& device = *request.add_devices();
    device.set_path(item["path"].Text());
    device.set_type(type);
    device.set_major(static_cast<int64_t>(major));
    device.set_minor(static_cast<int64_t>(minor));
    device.set_file_mode(static_cast<uint32_t>(item["fileMode"].Unsigned(UINT32_MAX)) & 07777U);
    device.set_uid(item["uid"].Unsigned32());
    device.set_gid(item["gid"].Unsigned32());
  });
}

void TranslateDeviceRules(const Cursor& rules, guest::v1::CreateContainerRequest& request) {
  rules.EachItem([&](const Cursor& item) {
    auto& rule = *request.add_device_rules();
    rule.set_allow(item["allow"].Flag());
    const std::string type = item["type"].Text();
    rule.set_type(type.empty() ? "a" : type);
    // A negative number is runc's way to say "any".
    if (const auto major = item["major"].Integer(); major && *major >= 0) {
      rule.set_major(*major);
    }
    if (const auto minor = item["minor"].Integer(); minor && *minor >= 0) {
      rule.set_minor(*minor);
    }
    rule.set_access(item["access"].Text());
  });
}

void TranslateLinux(const Cursor& part, guest::v1::CreateContainerRequest& request) {
  TranslateNamespaces(part["namespaces"], request);
  for (auto& path : part["maskedPaths"].Texts()) {
    request.add_masked_paths(std::move(path));
  }
  for (auto& path : part["readonlyPaths"].Texts()) {
    request.add_readonly_paths(std::move(path));
  }
  TranslateDevices(part["devices"], request);
  part["sysctl"].EachMember([&](const std::string& key, const Cursor& value) {
    (*request.mutable_sysctls())[key] = value.Text();
  });
  request.set_rootfs_propagation(part["rootfsPropagation"].Text());
  if (!part["seccomp"].empty()) {
    *request.mutable_seccomp() = TranslateSeccomp(part["seccomp"]);
  }
  *request.mutable_resources() = TranslateResources(part["resources"]);
  TranslateDeviceRules(part["resources"]["devices"], request);
}

Result<nlohmann::json> ParseBounded(std::string_view text) {
  if (text.size() > kMaxExecJson) {
    return InvalidArgument(fmt::format("{} bytes of JSON", text.size()));
  }
  auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    return InvalidArgument("not a JSON object");
  }
  return parsed;
}

// "nofile" → "RLIMIT_NOFILE"
std::string RlimitType(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return "RLIMIT_" + name;
}

// What the pod asks for stands instead of the runtime's default.
void SetUlimits(const Cursor& annotation, guest::v1::Process& process) {
  if (annotation.empty()) {
    return;
  }
  const auto limits = ParseUlimits(annotation.Text());
  if (!limits) {
    annotation.Refuse(limits.error().message);
    return;
  }
  for (const Ulimit& limit : *limits) {
    const std::string type = RlimitType(limit.name);
    auto& rlimits = *process.mutable_rlimits();
    const auto found = std::find_if(rlimits.begin(), rlimits.end(),
                                    [&](const auto& other) { return other.type() == type; });
    guest::v1::Rlimit& rlimit = found == rlimits.end() ? *rlimits.Add() : *found;
    rlimit.set_type(type);
    rlimit.set_soft(limit.soft);
    rlimit.set_hard(limit.hard);
  }
}

}  // namespace

Result<ContainerPlan> TranslateContainer(const Document& spec,
                                         const std::string& id,
                                         const HostFacts& facts) {
  ContainerPlan plan;
  const Cursor root(*spec);
  auto& request = plan.request;
  request.set_id(id);
  RefuseHooks(root["hooks"]);
  *request.mutable_process() = TranslateProcess(root["process"]);
  SetUlimits(root["annotations"][kUlimitsAnnotation], *request.mutable_process());
  request.mutable_rootfs()->set_readonly(root["root"]["readonly"].Flag());
  MountPlan mounts = TranslateMounts(root["mounts"], facts);
  TranslateLinux(root["linux"], request);
  FARLET_TRY(Annotate(root.status(), "config.json"));
  for (auto& mount : mounts.mounts) {
    *request.add_mounts() = std::move(mount);
  }
  for (auto& device : mounts.devices) {
    *request.add_devices() = std::move(device);
  }
  plan.shares = std::move(mounts.shares);
  plan.volumes = std::move(mounts.volumes);
  return plan;
}

Result<guest::v1::Process> ParseProcess(std::string_view json) {
  FARLET_ASSIGN(const nlohmann::json parsed, Annotate(ParseBounded(json), "process"));
  const Cursor root(parsed);
  guest::v1::Process process = TranslateProcess(root);
  FARLET_TRY(Annotate(root.status(), "process"));
  return process;
}

Result<guest::v1::Resources> ParseResources(std::string_view json) {
  FARLET_ASSIGN(const nlohmann::json parsed, Annotate(ParseBounded(json), "resources"));
  const Cursor root(parsed);
  guest::v1::Resources resources = TranslateResources(root);
  FARLET_TRY(Annotate(root.status(), "resources"));
  return resources;
}

}  // namespace farlet::shim
