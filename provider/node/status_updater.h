#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::node {

struct StatusUpdaterOptions {
  std::string node_name;
  milliseconds interval{10'000};  // nodeStatusUpdateFrequency
  double jitter = 0.04;
  milliseconds report_interval{300'000};  // nodeStatusReportFrequency
  // Until the node was first ready, but not for ever: looks this often.
  milliseconds fast_interval{100};
  milliseconds fast_window{120'000};
};

// Keeps the node's status true: computes it every ten seconds, at once when Poke()d, and writes it
// (strategic merge patch on nodes/NAME/status) when something besides heartbeat times has changed,
// or nothing was written for five minutes (half as much more or less, at random, so that nodes
// spread out).
//
//   idle ──due, Poke()──► computing ──nothing to say──► idle
//     ▲                       └──► writing ──ok──► idle (at once again when poked meanwhile)
//     └── back-off 200 ms … 7 s ◄────┘ failed
//
// `compute` gets the node as last seen and returns it as it should be; `on_written` is told of each
// write. Both run on the timer's or the client's threads, one at a time, and must not block.
class StatusUpdater {
 public:
  using NodePtr = std::shared_ptr<const kube::Json>;
  using Compute = std::function<kube::Json(const kube::Json& node)>;
  using OnWritten = std::function<void(const kube::Json& before, const kube::Json& after)>;

  StatusUpdater(kube::Client& client,
                const Clock& clock,
                TimerService& timers,
                StatusUpdaterOptions options,
                Compute compute,
                OnWritten on_written);
  ~StatusUpdater();  // Stop()

  StatusUpdater(const StatusUpdater&) = delete;
  StatusUpdater& operator=(const StatusUpdater&) = delete;

  // The node as it was seen; an older resourceVersion than the known one is ignored, unless the
  // node is another one (uid). The first call starts the updater.
  void SetNode(const NodePtr& node);
  // Something that goes into the status has changed.
  void Poke();
  void Stop();

  // The newest version that is known; null before the first.
  NodePtr node() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::node
