#pragma once

#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace farlet::kube {

// A map of at most `capacity` values that forgets the least recently used one. Not thread safe.
template <class Value>
class LruMap {
 public:
  explicit LruMap(size_t capacity) : capacity_(capacity) {}

  // Null when unknown. The pointer is good until the next call that is not Find.
  Value* Find(const std::string& key) {
    const auto found = index_.find(key);
    if (found == index_.end()) {
      return nullptr;
    }
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }

  Value& FindOrAdd(const std::string& key) {
    if (Value* known = Find(key)) {
      return *known;
    }
    if (order_.size() >= capacity_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(key, Value{});
    index_.emplace(key, order_.begin());
    return order_.front().second;
  }

  size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<std::string, Value>>;

  const size_t capacity_;
  Order order_;  // most recently used first
  std::unordered_map<std::string, typename Order::iterator> index_;
};

}  // namespace farlet::kube
