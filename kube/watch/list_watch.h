#pragma once

#include "kube/client/client.h"
#include "runtime/base/backoff.h"
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
  // How long the server is asked to keep one watch: this long to twice as long, at random.
  seconds watch_timeout_min{300};
  // Between failures; started anew by a complete list and by every watch event.
  BackoffPolicy backoff{
      .initial = milliseconds(800), .max = milliseconds(30'000), .factor = 2.0, .jitter = 1.0};
  // The resource may be unknown (404) or closed (403) to us for good: then that is said once.
  bool may_be_missing = false;
  // Told of every failed list or watch, on the thread of a handler and between its calls; may be
  // empty. The list-watch itself keeps trying whatever the error is.
  std::function<void(const Error& error)> on_error;
};

// List, then watch from there, for ever: pages, bookmarks, resume after a disconnect from the last
// resourceVersion, a new list after 410, back-off with cap and jitter while the server cannot be
// reached.
//
//   listing ──complete──► watching ──closed / lost──► waiting (back-off) ──► watching
//    ▲   └─failed─► waiting ─┐   └────────410 Gone─────────────┬──────────────────┘
//    └───────────────────────┴─────────────────────────────────┘
//
// The first list asks for resourceVersion 0 (any state that the server has in memory, as client-go
// does), a later one for a state not older than what was seen, and for the newest one (a read from
// the database) when the server does not know that version.
class ListWatch {
 public:
  struct Change {
    enum class Kind {
      kReplace,  // a complete list: `objects` is everything there is
      kUpsert,   // objects[0] was added or modified
      kDelete,   // objects[0] is the last state of what was deleted
    };
    Kind kind = Kind::kUpsert;
    // Without metadata.managedFields, which nobody here reads and which is half of an object.
    std::vector<Json> objects;
  };

  // One call at a time, on one of the client's I/O threads.
  using Handler = std::function<void(Change change)>;

  // `client` and `timers` outlive it.
  ListWatch(Client& client,
            const Clock& clock,
            TimerService& timers,
            ListWatchOptions options,
            Handler handler);
  ~ListWatch();  // Stop()

  ListWatch(const ListWatch&) = delete;
  ListWatch& operator=(const ListWatch&) = delete;

  void Start();
  // Ends it and waits for a handler that is running; none runs afterwards. Not from the handler.
  void Stop();
  // True once a complete list has been handed over.
  bool synced() const;
  // Steady time of the last answer, event or bookmark; epoch when there was none yet.
  SteadyTime last_contact() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::kube
