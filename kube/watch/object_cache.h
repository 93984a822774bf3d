#pragma once

#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <functional>
#include <memory>
#include <string>

namespace farlet::kube {

enum class ObjectKind { kConfigMap, kSecret };

struct ObjectKey {
  ObjectKind kind = ObjectKind::kConfigMap;
  std::string object_namespace;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
};

// ConfigMaps and Secrets that pods refer to, one single-object watch each (the Node authorizer
// allows no other), started by the first reference and ended by the last. Thread safe; memory of
// Secrets is dropped with the last reference.
class ObjectCache {
 public:
  // What is known: kUnavailable while the first answer is outstanding (or the server cannot be
  // reached), kNotFound, kPermissionDenied, or the object.
  using Lookup = Result<std::shared_ptr<const Json>>;
  // Called when the answer of Get(key) changed; must not block.
  using Listener = std::function<void(const ObjectKey& key)>;

  virtual ~ObjectCache() = default;

  // The references of one pod: replaces those it had before. An empty list releases all.
  virtual void SetReferences(const std::string& pod_uid, std::vector<ObjectKey> keys) = 0;
  virtual Lookup Get(const ObjectKey& key) const = 0;
};

std::unique_ptr<ObjectCache> MakeObjectCache(Client& client,
                                             const Clock& clock,
                                             TimerService& timers,
                                             ObjectCache::Listener listener);

}  // namespace farlet::kube
