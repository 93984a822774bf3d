#pragma once

#include "runtime/base/clock.h"

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace farlet::server {

// A bounded map whose entries live for a time of their own; the least recently used one makes room.
// Thread safe.
template <class Value>
class ExpiringCache {
 public:
  ExpiringCache(const Clock& clock, size_t capacity) : clock_(clock), capacity_(capacity) {}

  std::optional<Value> Get(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) {
      return std::nullopt;
    }
    if (found->second->expires <= clock_.Now()) {
      entries_.erase(found->second);
      index_.erase(found);
      return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  void Put(const std::string& key, Value value, std::chrono::nanoseconds lifetime) {
    const std::lock_guard lock(mutex_);
    const SteadyTime expires =
        clock_.Now() + std::chrono::duration_cast<SteadyTime::duration>(lifetime);
    const auto found = index_.find(key);
    if (found != index_.end()) {
      entries_.erase(found->second);
      index_.erase(found);
    }
    entries_.push_front({key, std::move(value), expires});
    index_[key] = entries_.begin();
    while (entries_.size() > capacity_) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }

 private:
  struct Entry {
    std::string key;
    Value value;
    SteadyTime expires;
  };

  const Clock& clock_;
  const size_t capacity_;
  std::mutex mutex_;          // guards all below
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string, typename std::list<Entry>::iterator> index_;
};

}  // namespace farlet::server
