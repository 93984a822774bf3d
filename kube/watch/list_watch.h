#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::kube {

struct ListWatchOptions {
  std::string path;  // collection, "/api/v1/pods"
  Query query;       // field and label selectors
  int page_size = 500;
  // How long the server is asked to keep one watch (client-go: 5 to 10 minutes, at random).
  seconds watch_timeout_min{300};
};

// List, then watch from there, for ever: pages, bookmarks, resume after a disconnect from the last
// resourceVersion, a new list after 410, back-off with cap and jitter while the server cannot be
// reached.
//
//   listing ──complete──► watching ──closed / lost──► waiting (back-off) ──► watching
//      ▲                     └────────410 Gone─────────────┬──────────────────┘
//      └───────────────────────────────────────────────────┘
class ListWatch {
 public:
  struct Change {
    enum class Kind {
      kReplace,  // a complete list: `objects` is everything there is
      kUpsert,   // objects[0] was added or modified
      kDelete,   // objects[0] is the last state of what was deleted
    };
    Kind kind = Kind::kUpsert;
    std::vector<Json> objects;
  };

  // One call at a time, on the client's I/O thread.
  using Handler = std::function<void(Change change)>;

  ListWatch(Client& client,
            const Clock& clock,
            TimerService& timers,
            ListWatchOptions options,
            Handler handler);
  ~ListWatch();  // Stop()

  void Start();
  // Ends it; no handler runs afterwards. Not from the handler.
  void Stop();
  bool synced() const;
  SteadyTime last_contact() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::kube
