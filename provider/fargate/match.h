#pragma once

#include "provider/fargate/names.h"
#include "provider/fargate/pod_facts.h"
#include "provider/fargate/profile.h"

#include <string>
#include <string_view>
#include <vector>

// Which profile a pod runs under. All functions are pure.
namespace farlet::fargate {

// "*" stands for any characters, also none, "?" for exactly one. Case matters.
bool WildcardMatch(std::string_view pattern, std::string_view text);

// Why the selector does not match a pod of that namespace and labels; empty: it does. A label
// selector is met by any label of the pod of which both key and value match.
std::string Mismatch(const Selector& selector,
                     std::string_view object_namespace,
                     const kube::StringMap& labels);

// Profiles in the order in which they are asked: by name, byte for byte. Immutable.
class ProfileSet {
 public:
  ProfileSet() = default;
  explicit ProfileSet(std::vector<ProfilePtr> profiles);

  const std::vector<ProfilePtr>& all() const { return profiles_; }

  // Null: there is none of that name.
  ProfilePtr Find(std::string_view name) const;

 private:
  std::vector<ProfilePtr> profiles_;
};

struct Match {
  enum class Outcome {
    kProfile,
    kNoProfile,      // none matches
    kWrongProfile,   // the pod's label asks for one that does not match or is not there
    kOptedOut,       // by annotation
    kNotForFargate,  // of a DaemonSet, a static pod, or bound to a node already
  };

  Outcome outcome = Outcome::kNoProfile;
  ProfilePtr profile;  // of kProfile
  std::string reason;  // one sentence without a full stop; empty for kProfile
};

// The first profile of which a selector matches; or the one that the pod's label asks for, if it
// matches.
Match FindProfile(const PodFacts& pod, const ProfileSet& profiles, const Names& names);

}  // namespace farlet::fargate
