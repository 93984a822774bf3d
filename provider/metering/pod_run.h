#pragma once

#include "provider/fargate/metering.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <optional>
#include <string>

namespace farlet::metering {

// The way of a pod to Ready. Of each the first time counts, except kImageReady: the last before
// kStarted.
enum class Moment {
  kCreated,       // metadata.creationTimestamp: whole seconds
  kScheduled,     // condition PodScheduled: whole seconds
  kSandboxBegun,  // the node begins to make its sandbox
  kSandboxReady,
  kImageBegun,  // the node begins to get its first image: what is billed begins here
  kImageReady,
  kStarted,  // the last of its containers runs
  kReady,    // condition Ready
};

inline constexpr size_t kMoments = 8;

// One pod's run on this node, from its first step to its end.
struct PodRun {
  std::string uid;
  std::string object_namespace;
  std::string name;
  std::string profile;
  fargate::Configuration provisioned;
  fargate::Bytes storage;
  fargate::Rates rates;  // in force when it began: they stay, whatever the configuration says later
  std::array<std::optional<WallTime>, kMoments> moments;
  std::optional<std::chrono::nanoseconds> pull;  // while at least one image was being got
  std::optional<WallTime> end;
  // Until when it is known to have run, whatever becomes of it; never later than `end`.
  std::optional<WallTime> alive;
  bool gone = false;     // nothing is left of it on the node, and it never comes back
  bool grouped = false;  // counted with the rest (kOther): there were too many groups

  std::optional<WallTime>& at(Moment moment) { return moments[static_cast<size_t>(moment)]; }

  const std::optional<WallTime>& at(Moment moment) const {
    return moments[static_cast<size_t>(moment)];
  }

  // Since when it is billed; nothing: not yet.
  const std::optional<WallTime>& begin() const { return at(Moment::kImageBegun); }

  bool operator==(const PodRun&) const = default;
};

// All times in nanoseconds since 1970, so that nothing is rounded.
nlohmann::json PodRunToJson(const PodRun& run);
// Checks every field and its bounds. kInvalidArgument, naming the field.
Result<PodRun> PodRunFromJson(const nlohmann::json& json);

// Where the time of a start went; what is not known is empty.
struct StartTimes {
  using Duration = std::optional<std::chrono::nanoseconds>;

  Duration scheduled;  // created → bound to the node
  Duration sandbox;    // making the sandbox
  Duration pull;       // getting images, which goes on beside the sandbox
  Duration start;      // sandbox and images there → all containers run
  Duration ready;      // all containers run → Ready
};

StartTimes StartTimesOf(const PodRun& run);

}  // namespace farlet::metering
