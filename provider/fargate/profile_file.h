#pragma once

#include "provider/fargate/match.h"
#include "provider/fargate/profile.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::fargate {

// The profiles of a YAML text of one or several documents: eksctl's ClusterConfig
// (eksctl.io/v1alpha5) with `fargateProfiles:`, of which everything else is ignored, and
// FargateProfile objects. In the order of the text, checked by CheckProfile. kInvalidArgument, one
// line with `name` of the file, line and field: `cluster.yaml: line 7: fargateProfiles[0]: invalid
// Fargate profile "dev": no profile selector`.
Result<std::vector<Profile>> ParseProfiles(std::string_view text,
                                           std::string_view name,
                                           const ProfileLimits& limits = {});

// The same of a file of at most 1 MiB.
Result<std::vector<Profile>> LoadProfiles(const std::filesystem::path& file,
                                          const ProfileLimits& limits = {});

// The profiles of a file that may be changed while it is in use: looked at once a second at most,
// when somebody asks. A file that cannot be read any more is said in the log, and what it said last
// holds. Thread safe.
class FollowedProfiles {
 public:
  // As LoadProfiles(). `clock` outlives it.
  static Result<std::unique_ptr<FollowedProfiles>> Open(std::filesystem::path file,
                                                        const Clock& clock);

  std::shared_ptr<const ProfileSet> Current();

 private:
  FollowedProfiles(std::filesystem::path file, const Clock& clock)
      : file_(std::move(file)), clock_(clock) {}

  Status Load();

  const std::filesystem::path file_;
  const Clock& clock_;
  std::mutex mutex_;  // guards all below
  SteadyTime looked_at_;
  std::string text_;  // that was taken in last, or refused
  std::shared_ptr<const ProfileSet> profiles_;
};

}  // namespace farlet::fargate
