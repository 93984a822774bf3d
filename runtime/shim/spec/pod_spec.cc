#include "runtime/shim/spec/pod_spec.h"

#include "runtime/shim/cli.h"
#include "runtime/shim/spec/cursor.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <set>
#include <utility>

namespace farlet::shim {
namespace {

// containerd's CRI plugin, pkg/cri/annotations.
constexpr std::string_view kContainerType = "io.kubernetes.cri.container-type";
constexpr std::string_view kSandboxId = "io.kubernetes.cri.sandbox-id";
constexpr std::string_view kSandboxMemory = "io.kubernetes.cri.sandbox-memory";
constexpr std::string_view kSandboxQuota = "io.kubernetes.cri.sandbox-cpu-quota";
constexpr std::string_view kSandboxPeriod = "io.kubernetes.cri.sandbox-cpu-period";
constexpr std::string_view kSandboxShares = "io.kubernetes.cri.sandbox-cpu-shares";
// Ours, in bytes: how large the pod's writable disk is.
constexpr std::string_view kEphemeralStorage = "farlet.dev/ephemeral-storage-bytes";

constexpr size_t kMaxHostname = 64;
// Of an id, as Docker names a container's host.
constexpr size_t kShortId = 12;

// Negative numbers are how CRI says "no limit".
uint64_t Number(const Cursor& annotations, std::string_view key) {
  const Cursor place = annotations[key];
  const std::string text = place.Text();
  if (text.empty() || text.front() == '-') {
    return 0;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    place.Refuse("not a number");
  }
  return value;
}

uint64_t Positive(std::optional<int64_t> value) {
  return value && *value > 0 ? static_cast<uint64_t>(*value) : 0;
}

void ReadNamespaces(const Cursor& linux_part, PodSpec& pod) {
  std::set<std::string> own;
  linux_part["namespaces"].EachItem([&](const Cursor& item) {
    const std::string type = item["type"].Text();
    own.insert(type);
    if (type == "network") {
      pod.netns = item["path"].Text();
    }
  });
  for (const auto& [type, what] :
       {std::pair{"network", "network"}, {"pid", "pid"}, {"ipc", "IPC"}}) {
    if (!own.contains(type)) {
      linux_part["namespaces"].Refuse(
          fmt::format("a pod in a VM cannot use the host's {} namespace", what),
          Code::kFailedPrecondition);
    }
  }
}

void ReadSandboxSize(const Cursor& annotations, PodSpec& pod) {
  pod.memory_limit = Number(annotations, kSandboxMemory);
  pod.cpu_quota = Number(annotations, kSandboxQuota);
  pod.cpu_period = Number(annotations, kSandboxPeriod);
  pod.cpu_shares = Number(annotations, kSandboxShares);
}

void ReadContainerSize(const Cursor& resources, PodSpec& pod) {
  pod.memory_limit = Positive(resources["memory"]["limit"].Integer());
  pod.cpu_quota = Positive(resources["cpu"]["quota"].Integer());
  pod.cpu_period = resources["cpu"]["period"].Unsigned();
  pod.cpu_shares = resources["cpu"]["shares"].Unsigned();
}

}  // namespace

Result<Membership> MembershipOf(const Document& spec, const std::string& id) {
  const Cursor root(*spec);
  const Cursor annotations = root["annotations"];
  const std::string type = annotations[kContainerType].Text();
  const std::string sandbox = annotations[kSandboxId].Text();
  FARLET_TRY(root.status());
  if (type.empty()) {
    return Membership{.kind = Membership::Kind::kSingle, .group = id};
  }
  if (type == "sandbox") {
    return Membership{.kind = Membership::Kind::kSandbox, .group = id};
  }
  if (type != "container" || !IsIdentifier(sandbox)) {
    return InvalidArgument(fmt::format("annotations: container type \"{}\" of sandbox \"{}\"",
                                       type.substr(0, 64), sandbox.substr(0, 128)));
  }
  return Membership{.kind = Membership::Kind::kContainer, .group = sandbox};
}

uint64_t PodSpec::MilliCpus() const {
  constexpr uint64_t kMilli = 1000;
  constexpr uint64_t kSharesPerCpu = 1024;
  constexpr uint64_t kDefaultPeriod = 100000;
  constexpr uint64_t kMaxQuota = UINT64_MAX / kMilli;
  if (cpu_quota > 0 && cpu_quota < kMaxQuota) {
    return cpu_quota * kMilli / (cpu_period > 0 ? cpu_period : kDefaultPeriod);
  }
  // 2 shares are what "nothing requested" becomes.
  return cpu_shares > 2 && cpu_shares < kMaxQuota ? cpu_shares * kMilli / kSharesPerCpu : 0;
}

Result<PodSpec> ReadPodSpec(const Document& spec, const std::string& id) {
  FARLET_ASSIGN(const Membership membership, MembershipOf(spec, id));
  PodSpec pod;
  pod.kind = membership.kind;
  const Cursor root(*spec);
  pod.hostname = root["hostname"].Text();
  if (pod.hostname.size() > kMaxHostname) {
    root["hostname"].Refuse(fmt::format("longer than {} bytes", kMaxHostname));
  }
  if (pod.hostname.empty()) {
    pod.hostname = id.substr(0, kShortId);
  }
  const Cursor linux_part = root["linux"];
  ReadNamespaces(linux_part, pod);
  pod.cgroups_path = linux_part["cgroupsPath"].Text();
  linux_part["sysctl"].EachMember(
      [&](const std::string& key, const Cursor& value) { pod.sysctls[key] = value.Text(); });
  if (pod.kind == Membership::Kind::kSandbox) {
    ReadSandboxSize(root["annotations"], pod);
  } else {
    ReadContainerSize(linux_part["resources"], pod);
  }
  pod.ephemeral_bytes = Number(root["annotations"], kEphemeralStorage);
  FARLET_TRY(Annotate(root.status(), "config.json"));
  return pod;
}

}  // namespace farlet::shim
