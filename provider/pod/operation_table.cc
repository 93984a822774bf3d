#include "provider/pod/operation_table.h"

#include <algorithm>

namespace farlet::pod {

bool OperationTable::Running(const std::string& name) const {
  const auto found = entries_.find(name);
  return found != entries_.end() && found->second.running;
}

bool OperationTable::MayBegin(const std::string& name, SteadyTime now) const {
  const auto found = entries_.find(name);
  return found == entries_.end() || (!found->second.running && found->second.retry_at <= now);
}

std::optional<SteadyTime> OperationTable::RetryAt(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end() || found->second.running) {
    return std::nullopt;
  }
  return found->second.retry_at;
}

int OperationTable::Failures(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? 0 : found->second.failures;
}

void OperationTable::Begin(const std::string& name) {
  Entry& entry = entries_[name];
  if (!entry.running) {
    entry.running = true;
    ++running_;
  }
}

void OperationTable::Stop(Entry& entry) {
  if (entry.running) {
    entry.running = false;
    --running_;
  }
}

void OperationTable::Succeed(const std::string& name) {
  Abandon(name);
  entries_.erase(name);
}

void OperationTable::Fail(const std::string& name, SteadyTime now) {
  const int failures = std::min(Failures(name), 16);
  FailUntil(name, now + std::min(kLongestWait, kFirstWait * (1 << failures)));
}

void OperationTable::FailUntil(const std::string& name, SteadyTime retry_at) {
  Entry& entry = entries_[name];
  Stop(entry);
  ++entry.failures;
  entry.retry_at = retry_at;
}

void OperationTable::Abandon(const std::string& name) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) {
    Stop(found->second);
    found->second.retry_at = {};
  }
}

void OperationTable::Reset(const std::string& name) {
  const auto found = entries_.find(name);
  if (found != entries_.end() && !found->second.running) {
    entries_.erase(found);
  }
}

}  // namespace farlet::pod
