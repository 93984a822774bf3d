#pragma once

#include "kube/api/meta.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A Fargate profile: which pods run on Fargate, and what may be different for them.
namespace farlet::fargate {

inline constexpr std::string_view kProfileApiVersion = "farlet.dev/v1alpha1";
inline constexpr std::string_view kProfileKind = "FargateProfile";
inline constexpr std::string_view kProfilePath = "/apis/farlet.dev/v1alpha1/fargateprofiles";

// Namespace, label keys and label values may have "*" (any characters, also none) and "?" (exactly
// one) anywhere.
struct Selector {
  std::string object_namespace;
  kube::StringMap labels;  // all have to match

  bool operator==(const Selector&) const = default;
};

// What pods of a profile may have although Fargate refuses it.
struct AllowList {
  std::vector<std::string> capabilities;     // without "CAP_"; "*": all
  std::vector<std::string> host_paths;       // these and what is below them
  std::vector<std::string> volume_types;     // names of the field: "persistentVolumeClaim", "nfs"
  std::vector<std::string> resources;        // extended resources: "nvidia.com/gpu"
  std::vector<std::string> runtime_classes;  // of the pod's own choice
  std::vector<std::string> ulimits;          // by name, "nofile"; "*": all
  bool privileged = false;
  bool host_ports = false;

  bool operator==(const AllowList&) const = default;
};

// What happens to a pod that Fargate cannot run.
enum class Validation {
  kEnforce,  // it is refused
  kWarn,     // it is admitted with a warning
};

struct Profile {
  kube::ObjectMeta meta;
  std::vector<Selector> selectors;
  AllowList allow;
  std::optional<Validation> validation;  // of this profile, not the webhook's default
  // AWS's fields that are set, and have no effect here.
  std::string pod_execution_role_arn;
  std::vector<std::string> subnets;
  kube::StringMap tags;

  // A FargateProfile object; for kube::Informer too. Does not look at CheckProfile's rules. Errors
  // name the field: "spec.selectors[0].namespace: must be a string".
  static Result<Profile> FromJson(nlohmann::json object);

  // "podExecutionRoleArn", "subnets", "tags", as far as they are set.
  std::vector<std::string> WithoutEffect() const;
};

using ProfilePtr = std::shared_ptr<const Profile>;

// The object to apply: apiVersion, kind, name and spec.
nlohmann::json ProfileToJson(const Profile& profile);

// AWS's quotas by default; AWS changes them on request.
struct ProfileLimits {
  size_t selectors = 5;
  size_t labels = 5;  // of one selector
};

// The rules of the AWS API and, in its words, of eksctl: `invalid Fargate profile "x": no profile
// selector`. kInvalidArgument.
Status CheckProfile(const Profile& profile, const ProfileLimits& limits = {});

}  // namespace farlet::fargate
