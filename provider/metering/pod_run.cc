#include "provider/metering/pod_run.h"

#include "provider/metering/json_fields.h"

#include <algorithm>

namespace farlet::metering {
namespace {

constexpr std::array<const char*, kMoments> kMomentKeys{
    "created",    "scheduled",  "sandboxBegun", "sandboxReady",
    "imageBegun", "imageReady", "started",      "ready"};
// Above what any configuration and rate may be, and so low that no product overflows.
constexpr int64_t kMostMilliCpu = 1'000'000;
constexpr int64_t kMostBytes = int64_t{1} << 50;
constexpr int64_t kHighestRate = 1'000'000'000'000'000;

Result<bool> FlagAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) {
    return false;
  }
  if (!found->is_boolean()) {
    return InvalidArgument(fmt::format("{}: must be true or false", key));
  }
  return found->get<bool>();
}

Result<std::optional<WallTime>> OptionalTime(const Json& object, const char* key) {
  if (!object.contains(key)) {
    return std::optional<WallTime>();
  }
  FARLET_ASSIGN(const WallTime time, TimeAt(object, key));
  return std::optional(time);
}

Status ReadSize(const Json& json, PodRun& run) {
  FARLET_ASSIGN(run.provisioned.cpu.value, NumberAt(json, "milliCpu", kMostMilliCpu));
  FARLET_ASSIGN(run.provisioned.memory.value, NumberAt(json, "memory", kMostBytes));
  FARLET_ASSIGN(run.storage.value, NumberAt(json, "storage", kMostBytes));
  FARLET_ASSIGN(run.rates.vcpu, NumberAt(json, "rateVcpu", kHighestRate));
  FARLET_ASSIGN(run.rates.gigabyte, NumberAt(json, "rateGigabyte", kHighestRate));
  FARLET_ASSIGN(run.rates.storage, NumberAt(json, "rateStorage", kHighestRate));
  return {};
}

Status ReadTimes(const Json& json, PodRun& run) {
  for (size_t i = 0; i < kMoments; ++i) {
    FARLET_ASSIGN(run.moments[i], OptionalTime(json, kMomentKeys[i]));
  }
  FARLET_ASSIGN(run.end, OptionalTime(json, "end"));
  FARLET_ASSIGN(run.alive, OptionalTime(json, "alive"));
  if (json.contains("pull")) {
    FARLET_ASSIGN(const int64_t pull, NumberAt(json, "pull", kLatestTime));
    run.pull = std::chrono::nanoseconds(pull);
  }
  return {};
}

// How long after `from` it was `to`; wall clocks may be set back, and those of machines differ.
StartTimes::Duration Between(const std::optional<WallTime>& from,
                             const std::optional<WallTime>& to) {
  if (!from || !to) {
    return std::nullopt;
  }
  return std::max<std::chrono::nanoseconds>(*to - *from, std::chrono::nanoseconds(0));
}

}  // namespace

Json PodRunToJson(const PodRun& run) {
  Json json = {{"uid", run.uid},
               {"namespace", run.object_namespace},
               {"name", run.name},
               {"profile", run.profile},
               {"milliCpu", run.provisioned.cpu.value},
               {"memory", run.provisioned.memory.value},
               {"storage", run.storage.value},
               {"rateVcpu", run.rates.vcpu},
               {"rateGigabyte", run.rates.gigabyte},
               {"rateStorage", run.rates.storage}};
  const auto set = [&](const char* key, const std::optional<WallTime>& time) {
    if (time) {
      json[key] = TimeNumber(*time);
    }
  };
  for (size_t i = 0; i < kMoments; ++i) {
    set(kMomentKeys[i], run.moments[i]);
  }
  set("end", run.end);
  set("alive", run.alive);
  if (run.pull) {
    json["pull"] = run.pull->count();
  }
  if (run.gone) {
    json["gone"] = true;
  }
  if (run.grouped) {
    json["grouped"] = true;
  }
  return json;
}

Result<PodRun> PodRunFromJson(const Json& json) {
  if (!json.is_object()) {
    return InvalidArgument("a pod's run must be an object");
  }
  PodRun run;
  FARLET_ASSIGN(run.uid, TextAt(json, "uid"));
  FARLET_ASSIGN(run.object_namespace, TextAt(json, "namespace"));
  FARLET_ASSIGN(run.name, TextAt(json, "name"));
  FARLET_ASSIGN(run.profile, TextAt(json, "profile"));
  FARLET_TRY(ReadSize(json, run));
  FARLET_TRY(ReadTimes(json, run));
  FARLET_ASSIGN(run.gone, FlagAt(json, "gone"));
  FARLET_ASSIGN(run.grouped, FlagAt(json, "grouped"));
  if (run.uid.empty()) {
    return InvalidArgument("uid: is empty");
  }
  return run;
}

StartTimes StartTimesOf(const PodRun& run) {
  // Empty is less than any time.
  const auto there = std::max(run.at(Moment::kSandboxReady), run.at(Moment::kImageReady));
  return {.scheduled = Between(run.at(Moment::kCreated), run.at(Moment::kScheduled)),
          .sandbox = Between(run.at(Moment::kSandboxBegun), run.at(Moment::kSandboxReady)),
          .pull = run.pull,
          .start = Between(there, run.at(Moment::kStarted)),
          .ready = Between(run.at(Moment::kStarted), run.at(Moment::kReady))};
}

}  // namespace farlet::metering
