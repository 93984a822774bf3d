#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::node {

// Sees to it that the Node object exists, and follows it.
//
//            201                       watch: deleted
//   creating ───► registered ─────────────────────────────► creating
//    ▲  │ 409         ▲
//    │  └─► reading ──┴─ ours (labels and annotations patched if need be)
//    │         └─ run by somebody else: said, waiting
//    └── waiting, 100 ms … 7 s ◄── any other error: said, once a minute while it lasts
//
// Hooks run on the client's threads and the timer's and must not block; on_node may run beside one
// of the others.
class Registration {
 public:
  using NodePtr = std::shared_ptr<const kube::Json>;

  struct Hooks {
    // The object to create.
    std::function<kube::Json()> build;
    // A node that exists already, with the metadata that it is to have.
    std::function<kube::Json(kube::Json node)> adopt;
    // Who else runs this node; empty: nobody.
    std::function<std::string(const kube::Json& node)> foreign_owner;
    // Registered, for the first time or again. `found`: as it was before it was adopted, null when
    // it was created.
    std::function<void(const NodePtr& node, const NodePtr& found)> on_registered;
    // A newer version of the own node was seen.
    std::function<void(const NodePtr& node)> on_node;
  };

  // `client` and `timers` outlive it.
  Registration(kube::Client& client,
               const Clock& clock,
               TimerService& timers,
               std::string node_name,
               Hooks hooks);
  ~Registration();  // Stop()

  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  void Start();
  // No hook runs afterwards; the Node stays. Not from a hook.
  void Stop();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::node
