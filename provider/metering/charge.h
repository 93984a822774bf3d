#pragma once

#include "provider/metering/pod_run.h"

#include <compare>
#include <cstdint>
#include <string>

// What runs cost, cut at any moment. Pure.
namespace farlet::metering {

// What a pod has used and what that costs, in 10⁻¹⁰ (fargate::CostText). Sums of charges are exact:
// a pod's cost is rounded once, and a part of it is the difference of two such costs, so that parts
// add up to the whole whatever they are.
struct Charge {
  fargate::Usage usage;
  int64_t cost = 0;

  Charge& operator+=(const Charge& other);
  Charge& operator-=(const Charge& other);
  bool operator==(const Charge&) const = default;
};

// Of a run that lasts until its end, or until `now` if that is still to come: what falls into the
// time before `until`. What only the end brings (rounding up, the minimum of a minute) falls into
// the moment of the end. Nothing for a run that is not billed yet.
Charge ChargeBefore(const PodRun& run, WallTime until, WallTime now);
// The whole of it.
Charge ChargeOf(const PodRun& run, WallTime now);
// The whole seconds that ChargeOf() counts.
seconds BilledSeconds(const PodRun& run, WallTime now);

// As members of `json`. Reading: each is from 0 to `most`.
void ChargeToJson(const Charge& charge, nlohmann::json& json);
Result<Charge> ChargeFromJson(const nlohmann::json& json, int64_t most);

// Whose charges are summed up.
struct Group {
  std::string object_namespace;
  std::string profile;
  auto operator<=>(const Group&) const = default;
};

// The group of those that no longer get one of their own. No namespace has such a name.
inline constexpr char kOther[] = "(other)";

Group GroupOf(const PodRun& run);

}  // namespace farlet::metering
