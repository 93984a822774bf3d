#pragma once

#include "kube/events/recorder.h"

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::testing {

// Keeps events as "Reason: message".
class EventLog final : public kube::EventRecorder {
 public:
  void Record(const kube::ObjectReference& object,
              kube::EventType,
              std::string_view reason,
              std::string_view message) override {
    const std::lock_guard lock(mutex_);
    events_.push_back({object, std::string(reason) + ": " + std::string(message)});
  }

  void SetResting(bool) override {}

  std::vector<std::string> Of(const std::string& pod) const {
    std::vector<std::string> texts;
    const std::lock_guard lock(mutex_);
    for (const auto& [object, text] : events_) {
      if (object.name == pod) {
        texts.push_back(text);
      }
    }
    return texts;
  }

  int Count(const std::string& pod, const std::string& start) const {
    int count = 0;
    for (const std::string& text : Of(pod)) {
      count += text.starts_with(start) ? 1 : 0;
    }
    return count;
  }

 private:
  mutable std::mutex mutex_;  // guards events_
  std::vector<std::pair<kube::ObjectReference, std::string>> events_;
};

}  // namespace farlet::testing
