#include "kube/watch/object_cache.h"

#include "kube/watch/list_watch.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

namespace farlet::kube {
namespace {

constexpr seconds kLinger(30);

const char* Resource(ObjectKind kind) {
  return kind == ObjectKind::kConfigMap ? "configmaps" : "secrets";
}

std::string Describe(const ObjectKey& key) {
  return fmt::format("{} {}/{}", key.kind == ObjectKind::kConfigMap ? "configmap" : "secret",
                     key.object_namespace, key.name);
}

bool IsImmutable(const Json& object) {
  const auto found = object.find("immutable");
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

class ObjectCacheImpl;

// What the callbacks of a watch or a timer reach the cache through; null once the cache is going.
struct Anchor {
  std::mutex mutex;  // guards cache
  ObjectCacheImpl* cache = nullptr;
};

struct Entry {
  int references = 0;
  SteadyTime asked_since;
  SteadyTime unreferenced_since;
  ObjectCache::Lookup lookup = Unavailable("not read yet");
  bool answered = false;   // lookup is an object or "not found"
  bool immutable = false;  // its watch has ended, or is about to
  std::unique_ptr<ListWatch> watch;
};

// A few hundred entries at most are expected, each with one list-watch: its state machine, one
// connection of the client, and the object. No thread of its own: handlers run on the client's
// threads, sweeps on the timer's.
class ObjectCacheImpl final : public ObjectCache {
 public:
  ObjectCacheImpl(Client& client, const Clock& clock, TimerService& timers, Listener listener)
      : client_(client), clock_(clock), timers_(timers), listener_(std::move(listener)) {
    anchor_->cache = this;
  }

  ~ObjectCacheImpl() override {
    std::map<ObjectKey, std::shared_ptr<Entry>> entries;
    std::optional<TimerService::Id> sweep;
    {
      const std::lock_guard lock(mutex_);
      entries.swap(entries_);
      sweep = std::exchange(sweep_, std::nullopt);
      closing_ = true;
    }
    if (sweep) {
      timers_.Cancel(*sweep);
    }
    {
      // Waits for a sweep that is running.
      const std::lock_guard lock(anchor_->mutex);
      anchor_->cache = nullptr;
    }
    for (auto& [key, entry] : entries) {
      entry->watch.reset();
    }
  }

  void SetReferences(const std::string& pod_uid, std::vector<ObjectKey> keys) override {
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    std::vector<std::shared_ptr<Entry>> fresh;
    {
      const std::lock_guard lock(mutex_);
      for (const ObjectKey& key : keys) {
        if (std::shared_ptr<Entry> added = Acquire(key)) {
          fresh.push_back(std::move(added));
        }
      }
      if (const auto before = by_pod_.find(pod_uid); before != by_pod_.end()) {
        for (const ObjectKey& key : before->second) {
          Release(key);
        }
      }
      if (keys.empty()) {
        by_pod_.erase(pod_uid);
      } else {
        by_pod_[pod_uid] = std::move(keys);
      }
      ScheduleSweep();
    }
    for (const std::shared_ptr<Entry>& entry : fresh) {
      entry->watch->Start();
    }
  }

  Lookup Get(const ObjectKey& key) const override {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
      return Unavailable(fmt::format("{} is not watched", Describe(key)));
    }
    return found->second->lookup;
  }

 private:
  // The entry when it is new and its watch has to be started. Needs mutex_.
  std::shared_ptr<Entry> Acquire(const ObjectKey& key) {
    std::shared_ptr<Entry>& entry = entries_[key];
    if (entry != nullptr) {
      ++entry->references;
      return nullptr;
    }
    entry = std::make_shared<Entry>();
    entry->references = 1;
    entry->asked_since = clock_.Now();
    entry->lookup = Unavailable(fmt::format("{} has not been read yet", Describe(key)));
    entry->watch = MakeWatch(key, entry);
    return entry;
  }

  void Release(const ObjectKey& key) {
    const auto found = entries_.find(key);
    if (found != entries_.end() && --found->second->references == 0) {
      found->second->unreferenced_since = clock_.Now();
    }
  }

  // The handlers of the watch run only while the entry lives, and the entry while the cache does.
  std::unique_ptr<ListWatch> MakeWatch(const ObjectKey& key, const std::shared_ptr<Entry>& entry) {
    ListWatchOptions options;
    options.path = ResourcePath("v1", Resource(key.kind), key.object_namespace, {});
    options.query["fieldSelector"] = "metadata.name=" + key.name;
    options.backoff.initial = milliseconds(100);  // within kAuthorizerLag, soon
    const std::weak_ptr<Entry> weak = entry;
    options.on_error = [this, key, weak](const Error& error) { OnError(key, weak, error); };
    return std::make_unique<ListWatch>(
        client_, clock_, timers_, std::move(options),
        [this, key, weak](ListWatch::Change change) { OnChange(key, weak, std::move(change)); });
  }

  void OnChange(const ObjectKey& key, const std::weak_ptr<Entry>& weak, ListWatch::Change change) {
    std::shared_ptr<const Json> object;
    if (change.kind != ListWatch::Change::Kind::kDelete) {
      for (Json& candidate : change.objects) {
        if (candidate.is_object()) {
          object = std::make_shared<const Json>(std::move(candidate));
        }
      }
    }
    {
      const std::lock_guard lock(mutex_);
      const std::shared_ptr<Entry> entry = weak.lock();
      if (entry == nullptr || entry->immutable || !Differs(*entry, object)) {
        return;
      }
      entry->answered = true;
      if (object != nullptr) {
        entry->lookup = object;
      } else {
        entry->lookup = NotFound(fmt::format("{} not found", Describe(key)));
      }
      if (object != nullptr && IsImmutable(*object)) {
        entry->immutable = true;
        ScheduleSweep();
      }
    }
    listener_(key);
  }

  static bool Differs(const Entry& entry, const std::shared_ptr<const Json>& object) {
    if (!entry.answered || entry.lookup.has_value() != (object != nullptr)) {
      return true;
    }
    return object != nullptr && **entry.lookup != *object;
  }

  void OnError(const ObjectKey& key, const std::weak_ptr<Entry>& weak, const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      const std::shared_ptr<Entry> entry = weak.lock();
      if (entry == nullptr || entry->answered) {
        return;
      }
      Error refusal = Wrap(Describe(key), error);
      const bool early = clock_.Now() - entry->asked_since < kAuthorizerLag;
      const bool refused = error.code == Code::kPermissionDenied && !early;
      if (!refused && error.code != Code::kNotFound) {
        refusal.code = Code::kUnavailable;
      }
      const bool same = !entry->lookup && entry->lookup.error().code == refusal.code &&
                        entry->lookup.error().message == refusal.message;
      if (same) {
        return;
      }
      entry->lookup = std::move(refusal);
    }
    listener_(key);
  }

  // Needs mutex_. A watch is not destroyed from its handler, so its end is the sweep's work too.
  void ScheduleSweep() {
    if (closing_) {
      return;
    }
    std::optional<SteadyTime> due;
    for (const auto& [key, entry] : entries_) {
      if (entry->immutable && entry->watch != nullptr) {
        due = clock_.Now();
      } else if (entry->references == 0) {
        const SteadyTime end = entry->unreferenced_since + kLinger;
        due = due ? std::min(*due, end) : end;
      }
    }
    if (!due || (sweep_ && sweep_due_ <= *due)) {
      return;
    }
    if (sweep_) {
      timers_.Cancel(*sweep_);
    }
    sweep_due_ = *due;
    sweep_ = timers_.After(*due - clock_.Now(), [anchor = anchor_] {
      const std::lock_guard lock(anchor->mutex);
      if (anchor->cache != nullptr) {
        anchor->cache->Sweep();
      }
    });
  }

  void Sweep() {
    // Destroyed after the lock: a watch waits for its handler, which may wait for the lock.
    std::vector<std::shared_ptr<Entry>> dropped;
    std::vector<std::unique_ptr<ListWatch>> ended;
    {
      const std::lock_guard lock(mutex_);
      sweep_.reset();
      const SteadyTime now = clock_.Now();
      for (auto position = entries_.begin(); position != entries_.end();) {
        Entry& entry = *position->second;
        if (entry.references == 0 && now - entry.unreferenced_since >= kLinger) {
          ended.push_back(std::move(entry.watch));
          dropped.push_back(std::move(position->second));
          position = entries_.erase(position);
          continue;
        }
        if (entry.immutable && entry.watch != nullptr) {
          ended.push_back(std::move(entry.watch));
        }
        ++position;
      }
      ScheduleSweep();
    }
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const Listener listener_;
  const std::shared_ptr<Anchor> anchor_ = std::make_shared<Anchor>();
  mutable std::mutex mutex_;  // guards all below and the fields of the entries
  bool closing_ = false;
  std::map<ObjectKey, std::shared_ptr<Entry>> entries_;
  std::map<std::string, std::vector<ObjectKey>> by_pod_;
  std::optional<TimerService::Id> sweep_;
  SteadyTime sweep_due_;
};

}  // namespace

std::unique_ptr<ObjectCache> MakeObjectCache(Client& client,
                                             const Clock& clock,
                                             TimerService& timers,
                                             ObjectCache::Listener listener) {
  return std::make_unique<ObjectCacheImpl>(client, clock, timers, std::move(listener));
}

}  // namespace farlet::kube
