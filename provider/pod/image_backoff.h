#pragma once

#include "runtime/base/clock.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace farlet::pod {

// Holds back pulls that failed, by pod and image: 10 s doubling to 300 s, forgotten after twice the
// longest wait without a failure. Not thread safe.
class ImageBackoff {
 public:
  struct Block {
    SteadyTime until;
    std::string last_error;
  };

  ImageBackoff(seconds first, seconds longest) : first_(first), longest_(longest) {}

  std::optional<Block> Find(const std::string& pod_uid,
                            const std::string& image,
                            SteadyTime now) const {
    const auto found = entries_.find({pod_uid, image});
    if (found == entries_.end() || found->second.failed + found->second.wait <= now) {
      return std::nullopt;
    }
    return Block{.until = found->second.failed + found->second.wait,
                 .last_error = found->second.error};
  }

  void OnFailure(const std::string& pod_uid,
                 const std::string& image,
                 std::string error,
                 SteadyTime now) {
    Entry& entry = entries_[{pod_uid, image}];
    const bool anew = entry.wait.count() == 0 || now - entry.failed > 2 * longest_;
    entry.wait = anew ? first_ : std::min(longest_, 2 * entry.wait);
    entry.failed = now;
    entry.error = std::move(error);
  }

  void Forget(const std::string& pod_uid) {
    const auto first = entries_.lower_bound({pod_uid, std::string()});
    auto last = first;
    while (last != entries_.end() && last->first.first == pod_uid) {
      ++last;
    }
    entries_.erase(first, last);
  }

 private:
  struct Entry {
    seconds wait{0};
    SteadyTime failed;
    std::string error;
  };

  const seconds first_;
  const seconds longest_;
  std::map<std::pair<std::string, std::string>, Entry> entries_;
};

}  // namespace farlet::pod
