#pragma once

#include "kube/client/client.h"
#include "kube/watch/list_watch.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace farlet::kube {

// What an informer needs to know of an object.
struct ObjectIdentity {
  std::string uid;
  std::string object_namespace;
  std::string name;
  std::string resource_version;
};

// The store behind Informer<T>, for all T. Its rules are written there.
class InformerCore {
 public:
  using Erased = std::shared_ptr<const void>;

  struct Entry {
    ObjectIdentity id;
    Erased object;
  };

  using Decoder = std::function<Result<Entry>(Json object)>;
  using Handler = std::function<void(const Erased& before, const Erased& after)>;

  InformerCore(Client& client,
               const Clock& clock,
               TimerService& timers,
               ListWatchOptions options,
               Decoder decoder,
               Handler handler);

  void Start() { list_watch_.Start(); }

  void Stop() { list_watch_.Stop(); }

  bool synced() const { return list_watch_.synced(); }

  SteadyTime last_contact() const { return list_watch_.last_contact(); }

  Erased ByUid(const std::string& uid) const;
  Erased ByName(const std::string& object_namespace, const std::string& name) const;
  std::vector<Erased> All() const;

 private:
  void OnChange(ListWatch::Change change);
  void Replace(std::vector<Json> objects);
  void Upsert(Json object);
  void Store(Entry entry);
  void Remove(const std::string& uid);
  std::optional<Entry> Decode(Json object);

  const Decoder decoder_;
  const Handler handler_;
  // Only the list-watch's handler changes the maps, so it reads them without the mutex.
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> by_uid_;
  std::unordered_map<std::string, std::string> uid_by_name_;  // "namespace/name"
  // Undecodable objects that were logged: resourceVersion by uid. Handler only.
  std::unordered_map<std::string, std::string> refused_;
  ListWatch list_watch_;  // last: stops before the store goes
};

// A store of immutable snapshots, kept current by a list-watch. T needs
//   static Result<T> FromJson(Json object);   — its decoder
// and `meta` with uid, object_namespace, name and resource_version. An object that does not decode
// is logged, once per resourceVersion, and left out; one that was known stays as it was.
//
// Handlers run on the client's I/O thread, one at a time, and must not block: they put a key on a
// queue. `before` is null for an added object, `after` null for a deleted one. After a gap (410,
// lost connection) the new list is compared with the store, so that nothing is missed; an object
// that was deleted and made again under the same name is a deletion followed by an addition. The
// store has the new state before the handler is called. Getters are thread safe and never wait for
// a handler.
template <class T>
class Informer {
 public:
  using Snapshot = std::shared_ptr<const T>;
  using Handler = std::function<void(const Snapshot& before, const Snapshot& after)>;

  // `client` and `timers` outlive it.
  Informer(Client& client,
           const Clock& clock,
           TimerService& timers,
           ListWatchOptions options,
           Handler handler)
      : core_(client, clock, timers, std::move(options), &Decode, Erase(std::move(handler))) {}

  void Start() { core_.Start(); }

  // Ends the watch; no handler runs afterwards. Not from the handler.
  void Stop() { core_.Stop(); }

  // True once a complete list has been taken in.
  bool synced() const { return core_.synced(); }

  // Steady time of the last word from the API server about this list.
  SteadyTime last_contact() const { return core_.last_contact(); }

  // Null when unknown.
  Snapshot ByUid(const std::string& uid) const { return Typed(core_.ByUid(uid)); }

  Snapshot ByName(const std::string& object_namespace, const std::string& name) const {
    return Typed(core_.ByName(object_namespace, name));
  }

  std::vector<Snapshot> All() const {
    std::vector<Snapshot> all;
    for (InformerCore::Erased& object : core_.All()) {
      all.push_back(Typed(std::move(object)));
    }
    return all;
  }

 private:
  static Snapshot Typed(InformerCore::Erased object) {
    return std::static_pointer_cast<const T>(std::move(object));
  }

  static Result<InformerCore::Entry> Decode(Json json) {
    FARLET_ASSIGN(T decoded, T::FromJson(std::move(json)));
    auto object = std::make_shared<const T>(std::move(decoded));
    return InformerCore::Entry{.id = {.uid = object->meta.uid,
                                      .object_namespace = object->meta.object_namespace,
                                      .name = object->meta.name,
                                      .resource_version = object->meta.resource_version},
                               .object = object};
  }

  static InformerCore::Handler Erase(Handler handler) {
    return [handler = std::move(handler)](const InformerCore::Erased& before,
                                          const InformerCore::Erased& after) {
      handler(Typed(before), Typed(after));
    };
  }

  InformerCore core_;
};

}  // namespace farlet::kube
