#include "tests/fakes/apiserver/fake_api_server_core.h"

#include "runtime/base/clock.h"
#include "runtime/base/time_format.h"
#include "tests/fakes/apiserver/fake_api_server_core_state.h"
#include "tests/fakes/apiserver/fake_api_server_patch.h"

#include <algorithm>

namespace farlet::testing {
namespace {

std::string QueryValue(const ApiQuery& query, const std::string& name) {
  const auto found = query.find(name);
  return found != query.end() ? found->second : std::string();
}

Json WatchEvent(const char* type, const Json& object) {
  return Json{{"type", type}, {"object", object}};
}

bool InNamespace(const ApiPath& path, const std::string& key) {
  const std::string prefix = path.Prefix() + (path.object_namespace.empty() ? "" : "|");
  return key.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

Json ApiStatus(int code, const std::string& reason, const std::string& message) {
  return Json{{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
              {"status", "Failure"}, {"message", message}, {"reason", reason},
              {"code", code}};
}

int64_t VersionOf(const Json& object) {
  const std::string text = object.value("/metadata/resourceVersion"_json_pointer, std::string("0"));
  return text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10);
}

Json FakeApiCore::State::Commit(const ApiPath& path, Json object) {
  const std::string key = path.Key();
  const auto known = objects.find(key);
  Json before;
  Json& meta = object["metadata"];
  if (known != objects.end()) {
    before = known->second;
    meta["resourceVersion"] = before["metadata"]["resourceVersion"];
    if (object == before) {
      return object;
    }
  }
  if (!meta.contains("uid")) {
    meta["uid"] = "uid-" + std::to_string(next_uid++);
  }
  if (!meta.contains("creationTimestamp")) {
    meta["creationTimestamp"] = FormatRfc3339(RealClock().WallNow());
  }
  meta["resourceVersion"] = std::to_string(++version);
  objects[key] = object;
  history.push_back({version, key, std::move(before), object});
  for (auto& [id, watcher] : watchers) {
    OfferMissed(watcher);
  }
  changed.notify_all();
  return object;
}

void FakeApiCore::State::Erase(const ApiPath& path) {
  const auto known = objects.find(path.Key());
  if (known == objects.end()) {
    return;
  }
  Json last = std::move(known->second);
  objects.erase(known);
  last["metadata"]["resourceVersion"] = std::to_string(++version);
  history.push_back({version, path.Key(), std::move(last), nullptr});
  for (auto& [id, watcher] : watchers) {
    OfferMissed(watcher);
  }
  changed.notify_all();
}

bool FakeApiCore::State::Selects(const Watcher& watcher, const Json& object) const {
  return !object.is_null() && MatchesFields(object, QueryValue(watcher.query, "fieldSelector")) &&
         MatchesLabels(object, QueryValue(watcher.query, "labelSelector"));
}

void FakeApiCore::State::Offer(Watcher& watcher, const Change& change) {
  watcher.version = change.version;
  if (!InNamespace(watcher.path, change.key)) {
    return;
  }
  const bool before = Selects(watcher, change.before);
  const bool after = Selects(watcher, change.after);
  if (after) {
    watcher.sink(WatchEvent(before ? "MODIFIED" : "ADDED", change.after));
  } else if (before) {
    Json last = change.after.is_null() ? change.before : change.after;
    watcher.sink(WatchEvent("DELETED", last));
  }
}

void FakeApiCore::State::OfferMissed(Watcher& watcher) {
  if (silent) {
    return;
  }
  auto next =
      std::upper_bound(history.begin(), history.end(), watcher.version,
                       [](int64_t seen, const Change& change) { return seen < change.version; });
  for (; next != history.end(); ++next) {
    Offer(watcher, *next);
  }
}

std::vector<const Json*> FakeApiCore::State::Select(const ApiPath& path,
                                                    const ApiQuery& query) const {
  std::vector<const Json*> selected;
  for (const auto& [key, object] : objects) {
    if (InNamespace(path, key) && MatchesFields(object, QueryValue(query, "fieldSelector")) &&
        MatchesLabels(object, QueryValue(query, "labelSelector"))) {
      selected.push_back(&object);
    }
  }
  return selected;
}

FakeApiCore::FakeApiCore() : state_(std::make_unique<State>()) {}

FakeApiCore::~FakeApiCore() = default;

bool FakeApiCore::IsWatch(const ApiCall& call) {
  const std::string watch = QueryValue(call.query, "watch");
  return call.verb == "GET" && (watch == "true" || watch == "1");
}

ApiReply FakeApiCore::Watch(const ApiCall& call, WatchSink sink, WatchEnd end, uint64_t& id) {
  const std::lock_guard lock(state_->mutex);
  state_->Note(call, "WATCH");
  ApiCall faulty = call;
  faulty.verb = "WATCH";
  std::chrono::milliseconds delay(0);
  if (const std::optional<ApiFault> fault = state_->TakeFault(faulty)) {
    if (fault->status != 0 || fault->drop) {
      return {.status = fault->status,
              .body = ApiStatus(fault->status, fault->reason, fault->message),
              .retry_after = fault->retry_after,
              .delay = fault->delay,
              .drop = fault->drop};
    }
    delay = fault->delay;
  }
  const std::string from = QueryValue(call.query, "resourceVersion");
  State::Watcher watcher{.path = ParseApiPath(call.path),
                         .query = call.query,
                         .sink = std::move(sink),
                         .end = std::move(end),
                         .version = state_->version};
  if (from.empty() || from == "0") {
    for (const Json* object : state_->Select(watcher.path, watcher.query)) {
      watcher.sink(WatchEvent("ADDED", *object));
    }
  } else {
    watcher.version = std::strtoll(from.c_str(), nullptr, 10);
    if (watcher.version < state_->compacted) {
      watcher.sink(WatchEvent("ERROR", ApiStatus(410, "Expired", "too old resource version")));
      watcher.end();
      id = 0;
      return {};
    }
    state_->OfferMissed(watcher);
  }
  id = state_->next_watcher++;
  state_->watchers.emplace(id, std::move(watcher));
  state_->changed.notify_all();
  return {.delay = delay};
}

void FakeApiCore::Unwatch(uint64_t id) {
  const std::lock_guard lock(state_->mutex);
  state_->watchers.erase(id);
  state_->changed.notify_all();
}

Json FakeApiCore::Put(const std::string& path, Json object) {
  const ApiPath where = ParseApiPath(path);
  const std::lock_guard lock(state_->mutex);
  if (!object.contains("kind")) {
    object["kind"] = KindOf(where.resource);
  }
  if (!object.contains("apiVersion")) {
    object["apiVersion"] = where.group_version;
  }
  Json& meta = object["metadata"];
  meta["name"] = where.name;
  if (!where.object_namespace.empty()) {
    meta["namespace"] = where.object_namespace;
  }
  const auto known = state_->objects.find(where.Key());
  if (known != state_->objects.end()) {
    for (const char* kept : {"uid", "creationTimestamp"}) {
      if (!meta.contains(kept)) {
        meta[kept] = known->second["metadata"][kept];
      }
    }
  }
  return state_->Commit(where, std::move(object));
}

std::optional<Json> FakeApiCore::Find(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->objects.find(ParseApiPath(path).Key());
  return found != state_->objects.end() ? std::optional<Json>(found->second) : std::nullopt;
}

std::vector<Json> FakeApiCore::All(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  std::vector<Json> all;
  for (const Json* object : state_->Select(ParseApiPath(path), {})) {
    all.push_back(*object);
  }
  return all;
}

void FakeApiCore::Remove(const std::string& path) {
  const std::lock_guard lock(state_->mutex);
  state_->Erase(ParseApiPath(path));
}

bool FakeApiCore::WaitFor(const std::string& path,
                          const std::function<bool(const Json&)>& condition,
                          std::chrono::milliseconds timeout) const {
  const std::string key = ParseApiPath(path).Key();
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, timeout, [&] {
    const auto found = state_->objects.find(key);
    return condition(found != state_->objects.end() ? found->second : Json());
  });
}

void FakeApiCore::InjectFault(ApiFault fault) {
  const std::lock_guard lock(state_->mutex);
  state_->faults.push_back(std::move(fault));
}

void FakeApiCore::ClearFaults() {
  const std::lock_guard lock(state_->mutex);
  state_->faults.clear();
}

void FakeApiCore::Compact() {
  const std::lock_guard lock(state_->mutex);
  state_->compacted = ++state_->version;
  state_->history.clear();
}

void FakeApiCore::EndWatches() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [id, watcher] : state_->watchers) {
    watcher.end();
  }
  state_->watchers.clear();
  state_->changed.notify_all();
}

void FakeApiCore::SetSilent(bool silent) {
  const std::lock_guard lock(state_->mutex);
  state_->silent = silent;
  for (auto& [id, watcher] : state_->watchers) {
    state_->OfferMissed(watcher);
  }
}

void FakeApiCore::SendBookmarks() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [id, watcher] : state_->watchers) {
    watcher.version = state_->version;
    watcher.sink(WatchEvent(
        "BOOKMARK", Json{{"kind", KindOf(watcher.path.resource)},
                         {"apiVersion", watcher.path.group_version},
                         {"metadata", {{"resourceVersion", std::to_string(state_->version)}}}}));
  }
}

void FakeApiCore::TerminateNamespace(const std::string& name) {
  const std::lock_guard lock(state_->mutex);
  state_->terminating.insert(name);
}

void FakeApiCore::SetMaxPage(size_t max_page) {
  const std::lock_guard lock(state_->mutex);
  state_->max_page = max_page;
}

void FakeApiCore::SetSigner(std::function<std::string(const Json&)> signer) {
  const std::lock_guard lock(state_->mutex);
  state_->signer = std::move(signer);
}

void FakeApiCore::SetReviewer(std::function<Json(const Json&)> reviewer) {
  const std::lock_guard lock(state_->mutex);
  state_->reviewer = std::move(reviewer);
}

int FakeApiCore::Requests(const std::string& verb, const std::string& resource) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->counts.find(verb + " " + resource);
  return found != state_->counts.end() ? found->second : 0;
}

int FakeApiCore::TotalRequests() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int>(state_->calls.size());
}

int FakeApiCore::OpenWatches() const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<int>(state_->watchers.size());
}

bool FakeApiCore::WaitForRequests(const std::string& verb,
                                  const std::string& resource,
                                  int count,
                                  std::chrono::milliseconds timeout) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, timeout,
                                  [&] { return state_->counts[verb + " " + resource] >= count; });
}

std::vector<ApiCall> FakeApiCore::History() const {
  const std::lock_guard lock(state_->mutex);
  return state_->calls;
}

int64_t FakeApiCore::resource_version() const {
  const std::lock_guard lock(state_->mutex);
  return state_->version;
}

}  // namespace farlet::testing
