#pragma once

#include "runtime/cri/runtime_cache.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace farlet::cri {

// One pod's part of the two lists.
struct PodLists {
  std::vector<Sandbox> sandboxes;
  std::vector<Container> containers;
};

// Everything about one pod.
struct PodFacts {
  std::vector<SandboxStatus> sandboxes;
  std::vector<PodContainer> containers;
};

// The data of RuntimeCache and the rules by which what is learnt is merged; no I/O. Not thread
// safe.
//
// Answers may overtake each other, so each fact carries the number of the moment it was asked for:
// a fact older than what is known is dropped, a thing missing from a list is dropped only if it was
// known before the list was asked for, and states only go forward. Ids are never used again by a
// runtime, so what was removed stays removed.
class PodStore {
 public:
  // When something was asked for (a read) or learnt (a note).
  struct Moment {
    uint64_t number = 0;
    SteadyTime time;
  };

  struct Known {
    std::string uid;
    bool is_sandbox = false;
    SandboxId sandbox;  // the container's, or itself
    bool ended = false;
    std::string reason;  // a container's
  };

  Moment Now(SteadyTime time) { return {.number = ++last_number_, .time = time}; }

  PodRuntimePtr Get(const std::string& uid) const;
  std::vector<PodRuntimePtr> All() const;
  std::optional<Known> Find(const std::string& id) const;

  // Each says whether the pod's snapshot changed.
  bool Apply(const std::string& uid, Moment asked, PodFacts facts);
  bool Apply(const std::string& uid, Moment asked, SandboxStatus status);
  bool Apply(const std::string& uid, Moment asked, PodContainer container);
  // A sandbox's containers go with it. The pod's UID when something was removed.
  std::optional<std::string> Remove(const std::string& id, Moment learnt);

  // The pods for which the lists show another state than known.
  std::vector<std::string> Differing(const std::map<std::string, PodLists>& lists,
                                     Moment asked) const;
  // Forgets removals that no answer can contradict any more.
  void ForgetOldRemovals(SteadyTime now);

 private:
  template <class Value>
  struct Entry {
    Value value;
    uint64_t asked = 0;
  };

  struct Pod {
    std::unordered_map<std::string, Entry<SandboxStatus>> sandboxes;
    std::unordered_map<std::string, Entry<PodContainer>> containers;
    PodRuntimePtr snapshot;
  };

  bool Merge(Pod& pod, const std::string& uid, Moment asked, SandboxStatus status);
  bool Merge(Pod& pod, const std::string& uid, Moment asked, PodContainer container);
  bool DropMissing(Pod& pod, const PodFacts& facts, Moment asked);
  // Makes the snapshot anew when something `changed`, newer when the whole pod was read at
  // `read_at`; forgets an empty pod.
  void Publish(const std::string& uid, bool changed, SteadyTime read_at = {});
  static bool Differs(const Pod& pod, const PodLists& lists, Moment asked);

  std::unordered_map<std::string, Pod> pods_;
  std::unordered_map<std::string, std::string> uid_of_;  // by sandbox or container id
  std::unordered_map<std::string, SteadyTime> removed_;
  uint64_t last_number_ = 0;
  uint64_t last_generation_ = 0;
};

}  // namespace farlet::cri
