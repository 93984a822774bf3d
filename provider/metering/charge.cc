#include "provider/metering/charge.h"

#include "provider/metering/json_fields.h"

#include <algorithm>

namespace farlet::metering {
namespace {

Charge ChargeFor(const PodRun& run, seconds billed) {
  const fargate::Usage usage = fargate::UsageOf(run.provisioned, run.storage, billed);
  return {.usage = usage, .cost = fargate::CostOf(usage, run.rates)};
}

}  // namespace

Charge& Charge::operator+=(const Charge& other) {
  usage += other.usage;
  cost += other.cost;
  return *this;
}

Charge& Charge::operator-=(const Charge& other) {
  usage.milli_cpu_seconds -= other.usage.milli_cpu_seconds;
  usage.mebibyte_seconds -= other.usage.mebibyte_seconds;
  usage.storage_gib_seconds -= other.usage.storage_gib_seconds;
  cost -= other.cost;
  return *this;
}

seconds BilledSeconds(const PodRun& run, WallTime now) {
  return run.begin() ? fargate::BilledTime(run.end.value_or(now) - *run.begin()) : seconds(0);
}

Charge ChargeBefore(const PodRun& run, WallTime until, WallTime now) {
  const seconds whole = BilledSeconds(run, now);
  if (!run.begin() || until >= run.end.value_or(now)) {
    return ChargeFor(run, whole);
  }
  const seconds passed = std::chrono::floor<seconds>(until - *run.begin());
  return ChargeFor(run, std::clamp(passed, seconds(0), whole));
}

Charge ChargeOf(const PodRun& run, WallTime now) {
  return ChargeFor(run, BilledSeconds(run, now));
}

void ChargeToJson(const Charge& charge, Json& json) {
  json["milliCpuSeconds"] = charge.usage.milli_cpu_seconds;
  json["mebibyteSeconds"] = charge.usage.mebibyte_seconds;
  json["storageGibSeconds"] = charge.usage.storage_gib_seconds;
  json["cost"] = charge.cost;
}

Result<Charge> ChargeFromJson(const Json& json, int64_t most) {
  Charge charge;
  FARLET_ASSIGN(charge.usage.milli_cpu_seconds, NumberAt(json, "milliCpuSeconds", most));
  FARLET_ASSIGN(charge.usage.mebibyte_seconds, NumberAt(json, "mebibyteSeconds", most));
  FARLET_ASSIGN(charge.usage.storage_gib_seconds, NumberAt(json, "storageGibSeconds", most));
  FARLET_ASSIGN(charge.cost, NumberAt(json, "cost", most));
  return charge;
}

Group GroupOf(const PodRun& run) {
  return run.grouped ? Group{.object_namespace = kOther, .profile = kOther}
                     : Group{.object_namespace = run.object_namespace, .profile = run.profile};
}

}  // namespace farlet::metering
