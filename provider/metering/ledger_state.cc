#include "provider/metering/ledger_state.h"

#include "provider/metering/json_fields.h"

#include <algorithm>
#include <utility>

namespace farlet::metering {
namespace {

constexpr int64_t kMostDays = 100'000;

const Json* Member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

Result<std::set<std::string>> TextsOf(const Json* list, const char* key) {
  std::set<std::string> texts;
  if (list == nullptr || !list->is_array()) {
    return InvalidArgument(fmt::format("{}: must be a list", key));
  }
  for (const Json& item : *list) {
    if (!item.is_string()) {
      return InvalidArgument(fmt::format("{}: must be a list of texts", key));
    }
    texts.insert(item.get<std::string>());
  }
  return texts;
}

Status ApplyAlive(const Json& entry, LedgerState& state) {
  FARLET_ASSIGN(const WallTime until, TimeAt(entry, "alive"));
  FARLET_ASSIGN(const std::set<std::string> except, TextsOf(Member(entry, "except"), "except"));
  for (auto& [uid, run] : state.runs) {
    if (!run.end && !except.contains(uid)) {
      run.alive = std::max(run.alive.value_or(until), until);
    }
  }
  return {};
}

void ApplyGone(const std::string& uid, LedgerState& state) {
  state.counted.erase(uid);
  const auto run = state.runs.find(uid);
  if (run != state.runs.end()) {
    run->second.gone = true;
  }
}

Json FoldedToJson(const FoldedKey& key, const Folded& folded) {
  Json json = {{"namespace", key.group.object_namespace},
               {"profile", key.group.profile},
               {"day", key.day.time_since_epoch().count()},
               {"pods", folded.pods}};
  ChargeToJson(folded.charge, json);
  return json;
}

Status AddFolded(const Json& json, LedgerState& state) {
  constexpr int64_t kMost = int64_t{1} << 62;
  if (!json.is_object()) {
    return InvalidArgument("must be an object");
  }
  FoldedKey key;
  Folded folded;
  FARLET_ASSIGN(key.group.object_namespace, TextAt(json, "namespace"));
  FARLET_ASSIGN(key.group.profile, TextAt(json, "profile"));
  FARLET_ASSIGN(const int64_t day, NumberAt(json, "day", kMostDays));
  key.day = Day(std::chrono::days(day));
  FARLET_ASSIGN(folded.pods, NumberAt(json, "pods", kMost));
  FARLET_ASSIGN(folded.charge, ChargeFromJson(json, kMost));
  state.folded[key] = folded;
  return {};
}

}  // namespace

Json RunEntry(const PodRun& run) {
  return {{"run", PodRunToJson(run)}};
}

Json GoneEntry(const std::string& uid) {
  return {{"gone", uid}};
}

Json DropEntry(const std::string& uid) {
  return {{"drop", uid}};
}

Json AliveEntry(WallTime until, const std::set<std::string>& except) {
  return {{"alive", TimeNumber(until)}, {"except", except}};
}

Status Apply(const Json& entry, LedgerState& state) {
  if (!entry.is_object()) {
    return InvalidArgument("an entry must be an object");
  }
  if (const Json* json = Member(entry, "run")) {
    FARLET_ASSIGN(PodRun run, PodRunFromJson(*json));
    state.runs[run.uid] = std::move(run);
    return {};
  }
  if (entry.contains("alive")) {
    return ApplyAlive(entry, state);
  }
  if (entry.contains("gone")) {
    FARLET_ASSIGN(const std::string uid, TextAt(entry, "gone"));
    ApplyGone(uid, state);
    return {};
  }
  if (entry.contains("drop")) {
    FARLET_ASSIGN(const std::string uid, TextAt(entry, "drop"));
    state.runs.erase(uid);
    return {};
  }
  return InvalidArgument("an entry of an unknown kind");
}

Json StateToJson(const LedgerState& state) {
  Json runs = Json::array();
  for (const auto& [uid, run] : state.runs) {
    runs.push_back(PodRunToJson(run));
  }
  Json folded = Json::array();
  for (const auto& [key, sum] : state.folded) {
    folded.push_back(FoldedToJson(key, sum));
  }
  return {
      {"runs", std::move(runs)}, {"folded", std::move(folded)}, {"counted", Json(state.counted)}};
}

Result<LedgerState> StateFromJson(const Json& json) {
  LedgerState state;
  const Json* runs = json.is_object() ? Member(json, "runs") : nullptr;
  const Json* folded = json.is_object() ? Member(json, "folded") : nullptr;
  if (runs == nullptr || !runs->is_array() || folded == nullptr || !folded->is_array()) {
    return InvalidArgument("runs, folded: must be lists");
  }
  for (const Json& item : *runs) {
    FARLET_ASSIGN(PodRun run, Annotate(PodRunFromJson(item), "runs"));
    state.runs[run.uid] = std::move(run);
  }
  for (const Json& item : *folded) {
    FARLET_TRY(Annotate(AddFolded(item, state), "folded"));
  }
  FARLET_ASSIGN(std::set<std::string> counted, TextsOf(Member(json, "counted"), "counted"));
  state.counted.insert(std::make_move_iterator(counted.begin()),
                       std::make_move_iterator(counted.end()));
  return state;
}

}  // namespace farlet::metering
