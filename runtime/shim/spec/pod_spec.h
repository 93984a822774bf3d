#pragma once

#include "runtime/base/result.h"
#include "runtime/shim/spec/document.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace farlet::shim {

// Whose shim serves a container.
struct Membership {
  enum class Kind {
    kSandbox,    // a pod's sandbox: a VM, and no process in it
    kContainer,  // a container of a pod
    kSingle,     // a container without a pod ("ctr run"): a VM and its only container
  };

  Kind kind = Kind::kSingle;
  std::string group;  // the sandbox's id, or the container's own
};

// From the annotations of CRI, `id` being the bundle's. kInvalidArgument when they make no sense.
Result<Membership> MembershipOf(const Document& spec, const std::string& id);

// What the VM of a pod is made from: its sandbox's spec, or the spec of a single container.
struct PodSpec {
  Membership::Kind kind = Membership::Kind::kSandbox;
  std::string hostname;
  std::filesystem::path netns;  // empty: the pod has no network
  std::string cgroups_path;     // as in the spec: of cgroupfs or of systemd
  std::map<std::string, std::string> sysctls;
  // The whole pod's; 0: none.
  uint64_t memory_limit = 0;
  uint64_t cpu_quota = 0;
  uint64_t cpu_period = 0;
  uint64_t cpu_shares = 0;
  uint64_t ephemeral_bytes = 0;  // of the writable disk; 0: the host's default

  // 0 when nothing limits it.
  uint64_t MilliCpus() const;
};

// kFailedPrecondition for what a VM cannot do: the host's network, pid or IPC namespace.
Result<PodSpec> ReadPodSpec(const Document& spec, const std::string& id);

}  // namespace farlet::shim
