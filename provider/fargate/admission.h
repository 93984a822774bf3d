#pragma once

#include "provider/fargate/match.h"
#include "provider/fargate/names.h"
#include "provider/fargate/profile.h"
#include "provider/fargate/sizing.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::fargate {

struct AdmissionOptions {
  Names names;
  std::string runtime_class = "farlet";  // of Fargate pods; empty: none is set
  Validation validation = Validation::kEnforce;
  // Whether pods request their provisioned size (kMilliCpuResource), which nodes have to have.
  bool count_provisioned = true;
};

// What becomes of a pod that is about to be created.
struct Decision {
  enum class Kind { kUntouched, kRefused, kAdmitted };

  Kind kind = Kind::kUntouched;
  std::string profile;                // its name, unless kUntouched
  std::optional<PodSize> size;        // of kAdmitted
  std::string message;                // kRefused: every reason, in one line
  std::vector<std::string> warnings;  // shown to whoever creates it
  std::string patch;                  // kAdmitted: a JSON patch (RFC 6902); empty: nothing changes
};

// Pure. A pod that has been through it comes out of it unchanged. kInvalidArgument, naming the
// field, for a pod that cannot be read.
//
// A pod that no profile matches is untouched, with a warning if it wants Fargate nevertheless. One
// that matches is refused when it cannot run there (or, with Validation::kWarn, admitted with that
// as a warning; without a size there is no admission, though) and otherwise gets
//   - the profile's label and the annotation CapacityProvisioned,
//   - node selector and toleration of Fargate nodes, and the RuntimeClass,
//   - kube-scheduler, if its manifest names AWS's,
//   - the extended resources of its provisioned size.
Result<Decision> Decide(const nlohmann::json& pod,
                        std::string_view object_namespace,
                        const ProfileSet& profiles,
                        const AdmissionOptions& options);

// The same check once more, for a node that was given a pod past admission: the message with which
// it would have been refused, without regard to its size, which the node can see for itself; empty:
// it may run, or no profile matches it, which is none of Fargate's business. Pure.
std::string RefusalOfBound(const nlohmann::json& pod,
                           std::string_view object_namespace,
                           const ProfileSet& profiles,
                           const AdmissionOptions& options);

}  // namespace farlet::fargate
