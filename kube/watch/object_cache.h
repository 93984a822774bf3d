#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::kube {

enum class ObjectKind { kConfigMap, kSecret };

struct ObjectKey {
  ObjectKind kind = ObjectKind::kConfigMap;
  std::string object_namespace;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
};

// ConfigMaps and Secrets that pods refer to, one single-object watch each (the Node authorizer
// allows no other), started by the first reference. Thread safe.
//
//   absent ──first reference──► loading ──answer──► known ──"immutable: true"──► known, no watch
//      ▲                           │                  │ ▲
//      └── 30 s ── unreferenced ◄──┴─ last reference ─┘ └── referenced again: nothing is fetched
//
// So churn of pods does not fetch their namespace's kube-root-ca.crt again for each; the memory of
// an object goes half a minute after its last reference. An immutable object that somebody deletes
// and makes anew under the same name is noticed only after that, as with the kubelet.
class ObjectCache {
 public:
  // What is known: kUnavailable while the first answer is outstanding (or the server cannot be
  // reached, or refuses for no longer than kAuthorizerLag) and for what nobody refers to;
  // kNotFound; kPermissionDenied while asking goes on; or the object. An object that was read once
  // stays through later failures.
  using Lookup = Result<std::shared_ptr<const Json>>;
  // Called when the answer of Get(key) changed, without any lock of the cache held; must not block.
  using Listener = std::function<void(const ObjectKey& key)>;

  // Ends all watches; no listener runs afterwards. Not from the listener.
  virtual ~ObjectCache() = default;

  // The references of one pod: replaces those it had before. An empty list releases all.
  virtual void SetReferences(const std::string& pod_uid, std::vector<ObjectKey> keys) = 0;
  virtual Lookup Get(const ObjectKey& key) const = 0;
};

// `client` and `timers` outlive it.
std::unique_ptr<ObjectCache> MakeObjectCache(Client& client,
                                             const Clock& clock,
                                             TimerService& timers,
                                             ObjectCache::Listener listener);

}  // namespace farlet::kube
