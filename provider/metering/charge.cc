#include "provider/metering/charge.h"

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

Group GroupOf(const PodRun& run) {
  return run.grouped ? Group{.object_namespace = kOther, .profile = kOther}
                     : Group{.object_namespace = run.object_namespace, .profile = run.profile};
}

}  // namespace farlet::metering
