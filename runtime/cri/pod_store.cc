#include "runtime/cri/pod_store.h"

#include <algorithm>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace farlet::cri {
namespace {

// Longer than any answer takes.
constexpr std::chrono::minutes kRememberRemovals{10};

int Rank(const SandboxStatus& status) {
  return status.sandbox.state == SandboxState::kReady ? 0 : 1;
}

int Rank(const PodContainer& container) {
  switch (container.status.state) {
    case ContainerState::kCreated:
      return 0;
    case ContainerState::kRunning:
    case ContainerState::kUnknown:
      return 1;
    case ContainerState::kExited:
      return 2;
  }
  return 0;
}

const std::string& IdOf(const SandboxStatus& status) {
  return status.sandbox.id.value;
}

const std::string& IdOf(const PodContainer& container) {
  return container.status.id.value;
}

auto Newness(const SandboxStatus& status) {
  return std::tie(status.sandbox.created_at, status.sandbox.metadata.attempt,
                  status.sandbox.id.value);
}

auto Newness(const PodContainer& container) {
  return std::tie(container.status.created_at, container.status.metadata.attempt,
                  container.status.id.value);
}

template <class Entries, class Value>
void CopySorted(const Entries& entries, std::vector<Value>& to) {
  to.reserve(entries.size());
  for (const auto& [id, entry] : entries) {
    to.push_back(entry.value);
  }
  std::sort(to.begin(), to.end(),
            [](const Value& a, const Value& b) { return Newness(b) < Newness(a); });
}

// True when `value` was new or changed what was known.
template <class Entries, class Value>
bool MergeInto(Entries& entries, uint64_t asked, Value value) {
  const std::string id = IdOf(value);
  const auto found = entries.find(id);
  if (found == entries.end()) {
    entries.emplace(id, typename Entries::mapped_type{std::move(value), asked});
    return true;
  }
  auto& known = found->second;
  if (Rank(value) < Rank(known.value) ||
      (asked < known.asked && Rank(value) == Rank(known.value))) {
    return false;
  }
  known.asked = std::max(known.asked, asked);
  if (known.value == value) {
    return false;
  }
  known.value = std::move(value);
  return true;
}

template <class Entries>
std::vector<std::string> Missing(const Entries& entries,
                                 const std::unordered_set<std::string>& present,
                                 uint64_t asked) {
  std::vector<std::string> missing;
  for (const auto& [id, entry] : entries) {
    if (entry.asked < asked && !present.contains(id)) {
      missing.push_back(id);
    }
  }
  return missing;
}

}  // namespace

PodRuntimePtr PodStore::Get(const std::string& uid) const {
  const auto found = pods_.find(uid);
  return found == pods_.end() ? nullptr : found->second.snapshot;
}

std::vector<PodRuntimePtr> PodStore::All() const {
  std::vector<PodRuntimePtr> all;
  all.reserve(pods_.size());
  for (const auto& [uid, pod] : pods_) {
    all.push_back(pod.snapshot);
  }
  return all;
}

std::optional<PodStore::Known> PodStore::Find(const std::string& id) const {
  const auto uid = uid_of_.find(id);
  if (uid == uid_of_.end()) {
    return std::nullopt;
  }
  const Pod& pod = pods_.at(uid->second);
  if (const auto sandbox = pod.sandboxes.find(id); sandbox != pod.sandboxes.end()) {
    const Sandbox& value = sandbox->second.value.sandbox;
    return Known{.uid = uid->second,
                 .is_sandbox = true,
                 .sandbox = value.id,
                 .ended = value.state == SandboxState::kNotReady};
  }
  const PodContainer& value = pod.containers.at(id).value;
  return Known{.uid = uid->second,
               .sandbox = value.sandbox,
               .ended = value.status.state == ContainerState::kExited,
               .reason = value.status.reason};
}

bool PodStore::Merge(Pod& pod, const std::string& uid, Moment asked, SandboxStatus status) {
  if (removed_.contains(IdOf(status))) {
    return false;
  }
  uid_of_[IdOf(status)] = uid;
  return MergeInto(pod.sandboxes, asked.number, std::move(status));
}

bool PodStore::Merge(Pod& pod, const std::string& uid, Moment asked, PodContainer container) {
  if (removed_.contains(IdOf(container))) {
    return false;
  }
  uid_of_[IdOf(container)] = uid;
  return MergeInto(pod.containers, asked.number, std::move(container));
}

bool PodStore::DropMissing(Pod& pod, const PodFacts& facts, Moment asked) {
  std::unordered_set<std::string> present;
  for (const SandboxStatus& status : facts.sandboxes) {
    present.insert(IdOf(status));
  }
  for (const PodContainer& container : facts.containers) {
    present.insert(IdOf(container));
  }
  const auto sandboxes = Missing(pod.sandboxes, present, asked.number);
  for (const std::string& id : sandboxes) {
    pod.sandboxes.erase(id);
    uid_of_.erase(id);
  }
  const auto containers = Missing(pod.containers, present, asked.number);
  for (const std::string& id : containers) {
    pod.containers.erase(id);
    uid_of_.erase(id);
  }
  return !sandboxes.empty() || !containers.empty();
}

bool PodStore::Apply(const std::string& uid, Moment asked, PodFacts facts) {
  Pod& pod = pods_[uid];
  bool changed = DropMissing(pod, facts, asked);
  for (SandboxStatus& status : facts.sandboxes) {
    changed = Merge(pod, uid, asked, std::move(status)) || changed;
  }
  for (PodContainer& container : facts.containers) {
    changed = Merge(pod, uid, asked, std::move(container)) || changed;
  }
  Publish(uid, changed, asked.time);
  return changed;
}

bool PodStore::Apply(const std::string& uid, Moment asked, SandboxStatus status) {
  const bool changed = Merge(pods_[uid], uid, asked, std::move(status));
  Publish(uid, changed);
  return changed;
}

bool PodStore::Apply(const std::string& uid, Moment asked, PodContainer container) {
  const bool changed = Merge(pods_[uid], uid, asked, std::move(container));
  Publish(uid, changed);
  return changed;
}

std::optional<std::string> PodStore::Remove(const std::string& id, Moment learnt) {
  removed_[id] = learnt.time;
  const auto found = uid_of_.find(id);
  if (found == uid_of_.end()) {
    return std::nullopt;
  }
  const std::string uid = found->second;
  Pod& pod = pods_.at(uid);
  uid_of_.erase(found);
  if (pod.containers.erase(id) == 0 && pod.sandboxes.erase(id) > 0) {
    std::erase_if(pod.containers, [&](const auto& item) {
      if (item.second.value.sandbox.value != id) {
        return false;
      }
      removed_[item.first] = learnt.time;
      uid_of_.erase(item.first);
      return true;
    });
  }
  Publish(uid, /*changed=*/true);
  return uid;
}

void PodStore::Publish(const std::string& uid, bool changed, SteadyTime read_at) {
  Pod& pod = pods_.at(uid);
  if (pod.sandboxes.empty() && pod.containers.empty()) {
    pods_.erase(uid);
    return;
  }
  const SteadyTime before = pod.snapshot ? pod.snapshot->observed_at : SteadyTime();
  if (pod.snapshot && !changed && read_at <= before) {
    return;
  }
  std::shared_ptr<PodRuntime> next;
  if (pod.snapshot && !changed) {
    next = std::make_shared<PodRuntime>(*pod.snapshot);
  } else {
    next = std::make_shared<PodRuntime>();
    next->uid = uid;
    next->generation = ++last_generation_;
    CopySorted(pod.sandboxes, next->sandboxes);
    CopySorted(pod.containers, next->containers);
  }
  next->observed_at = std::max(read_at, before);
  pod.snapshot = std::move(next);
}

bool PodStore::Differs(const Pod& pod, const PodLists& lists, Moment asked) {
  std::unordered_set<std::string> present;
  for (const Sandbox& sandbox : lists.sandboxes) {
    present.insert(sandbox.id.value);
    const auto known = pod.sandboxes.find(sandbox.id.value);
    if (known == pod.sandboxes.end() || (known->second.asked < asked.number &&
                                         known->second.value.sandbox.state != sandbox.state)) {
      return true;
    }
  }
  for (const Container& container : lists.containers) {
    present.insert(container.id.value);
    const auto known = pod.containers.find(container.id.value);
    if (known == pod.containers.end() || (known->second.asked < asked.number &&
                                          known->second.value.status.state != container.state)) {
      return true;
    }
  }
  return !Missing(pod.sandboxes, present, asked.number).empty() ||
         !Missing(pod.containers, present, asked.number).empty();
}

std::vector<std::string> PodStore::Differing(const std::map<std::string, PodLists>& lists,
                                             Moment asked) const {
  const Pod nothing;
  std::vector<std::string> differing;
  for (const auto& [uid, pod_lists] : lists) {
    const auto known = pods_.find(uid);
    if (Differs(known == pods_.end() ? nothing : known->second, pod_lists, asked)) {
      differing.push_back(uid);
    }
  }
  for (const auto& [uid, pod] : pods_) {
    if (!lists.contains(uid) && Differs(pod, PodLists(), asked)) {
      differing.push_back(uid);
    }
  }
  return differing;
}

void PodStore::ForgetOldRemovals(SteadyTime now) {
  std::erase_if(removed_, [&](const auto& item) { return now - item.second > kRememberRemovals; });
}

}  // namespace farlet::cri
