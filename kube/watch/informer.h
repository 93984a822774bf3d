#pragma once

#include "kube/client/client.h"
#include "kube/watch/list_watch.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace farlet::kube {

// A store of immutable snapshots, kept current by a list-watch. T needs
//   static Result<T> FromJson(Json object);   — its decoder
// and `meta` with uid, object_namespace, name and resource_version. An object that does not decode
// is logged, once per resourceVersion, and left out.
//
// Handlers run on the client's I/O thread, one at a time, and must not block: they put a key on a
// queue. `before` is null for an added object, `after` null for a deleted one. After a gap (410,
// lost connection) the new list is compared with the store, so that nothing is missed.
template <class T>
class Informer {
 public:
  using Snapshot = std::shared_ptr<const T>;
  using Handler = std::function<void(const Snapshot& before, const Snapshot& after)>;

  Informer(Client& client,
           const Clock& clock,
           TimerService& timers,
           ListWatchOptions options,
           Handler handler);

  void Start();
  // Ends the watch; no handler runs afterwards.
  void Stop();

  // True once a complete list has been taken in.
  bool synced() const;
  // Steady time of the last word from the API server about this list.
  SteadyTime last_contact() const;

  Snapshot ByUid(const std::string& uid) const;
  Snapshot ByName(const std::string& object_namespace, const std::string& name) const;
  std::vector<Snapshot> All() const;

 private:
  void OnChange(ListWatch::Change change);

  Handler handler_;
  mutable std::mutex mutex_;  // guards the maps
  std::unordered_map<std::string, Snapshot> by_uid_;
  std::unordered_map<std::string, std::string> uid_by_name_;
  ListWatch list_watch_;  // last: stops before the store goes
};

}  // namespace farlet::kube
