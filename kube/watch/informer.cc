#include "kube/watch/informer.h"

#include "runtime/base/log.h"

#include <unordered_set>

namespace farlet::kube {
namespace {

std::string NameKey(const std::string& object_namespace, const std::string& name) {
  return object_namespace + "/" + name;
}

std::string MetaString(const Json& object, const char* member) {
  if (!object.is_object()) {
    return {};
  }
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object()) {
    return {};
  }
  const auto found = meta->find(member);
  return found != meta->end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

InformerCore::InformerCore(Client& client,
                           const Clock& clock,
                           TimerService& timers,
                           ListWatchOptions options,
                           Decoder decoder,
                           Handler handler)
    : decoder_(std::move(decoder)),
      handler_(std::move(handler)),
      list_watch_(client, clock, timers, std::move(options), [this](ListWatch::Change change) {
        OnChange(std::move(change));
      }) {}

InformerCore::Erased InformerCore::ByUid(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_uid_.find(uid);
  return found != by_uid_.end() ? found->second.object : nullptr;
}

InformerCore::Erased InformerCore::ByName(const std::string& object_namespace,
                                          const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto uid = uid_by_name_.find(NameKey(object_namespace, name));
  if (uid == uid_by_name_.end()) {
    return nullptr;
  }
  const auto found = by_uid_.find(uid->second);
  return found != by_uid_.end() ? found->second.object : nullptr;
}

std::vector<InformerCore::Erased> InformerCore::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<Erased> all;
  all.reserve(by_uid_.size());
  for (const auto& [uid, entry] : by_uid_) {
    all.push_back(entry.object);
  }
  return all;
}

void InformerCore::OnChange(ListWatch::Change change) {
  switch (change.kind) {
    case ListWatch::Change::Kind::kReplace:
      Replace(std::move(change.objects));
      break;
    case ListWatch::Change::Kind::kUpsert:
      Upsert(std::move(change.objects.front()));
      break;
    case ListWatch::Change::Kind::kDelete:
      Remove(MetaString(change.objects.front(), "uid"));
      break;
  }
}

void InformerCore::Replace(std::vector<Json> objects) {
  std::unordered_set<std::string> present;
  for (const Json& object : objects) {
    present.insert(MetaString(object, "uid"));
  }
  std::vector<std::string> gone;
  for (const auto& [uid, entry] : by_uid_) {
    if (!present.contains(uid)) {
      gone.push_back(uid);
    }
  }
  for (const std::string& uid : gone) {
    Remove(uid);
  }
  for (Json& object : objects) {
    Upsert(std::move(object));
  }
}

void InformerCore::Upsert(Json object) {
  const auto known = by_uid_.find(MetaString(object, "uid"));
  if (known != by_uid_.end() &&
      known->second.id.resource_version == MetaString(object, "resourceVersion")) {
    return;
  }
  if (std::optional<Entry> entry = Decode(std::move(object))) {
    Store(*std::move(entry));
  }
}

void InformerCore::Store(Entry entry) {
  const std::string key = NameKey(entry.id.object_namespace, entry.id.name);
  const auto namesake = uid_by_name_.find(key);
  if (namesake != uid_by_name_.end() && namesake->second != entry.id.uid) {
    Remove(std::string(namesake->second));
  }
  Erased before;
  const Erased after = entry.object;
  {
    const std::lock_guard lock(mutex_);
    uid_by_name_[key] = entry.id.uid;
    Entry& slot = by_uid_[entry.id.uid];
    before = std::move(slot.object);
    slot = std::move(entry);
  }
  handler_(before, after);
}

void InformerCore::Remove(const std::string& uid) {
  refused_.erase(uid);
  const auto known = by_uid_.find(uid);
  if (known == by_uid_.end()) {
    return;
  }
  Erased before;
  {
    const std::lock_guard lock(mutex_);
    before = std::move(known->second.object);
    const auto name =
        uid_by_name_.find(NameKey(known->second.id.object_namespace, known->second.id.name));
    if (name != uid_by_name_.end() && name->second == uid) {
      uid_by_name_.erase(name);
    }
    by_uid_.erase(known);
  }
  handler_(before, nullptr);
}

std::optional<InformerCore::Entry> InformerCore::Decode(Json object) {
  const std::string uid = MetaString(object, "uid");
  const std::string version = MetaString(object, "resourceVersion");
  const std::string name = NameKey(MetaString(object, "namespace"), MetaString(object, "name"));
  Result<Entry> entry = decoder_(std::move(object));
  if (entry) {
    refused_.erase(uid);
    return *std::move(entry);
  }
  std::string& logged = refused_[uid];
  if (logged != version || version.empty()) {
    logged = version;
    log::Error("an object could not be read and is left out",
               {{"object", name}, {"uid", uid}, {"error", entry.error()}});
  }
  return std::nullopt;
}

}  // namespace farlet::kube
