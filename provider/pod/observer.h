#pragma once

#include "kube/api/pod.h"
#include "provider/pod/lookup.h"
#include "runtime/base/clock.h"

#include <string>

namespace farlet::pod {

// Steps on a pod's way that no later look at it can tell.
enum class PodMoment {
  kSandboxBegun,
  kSandboxReady,
  // Of one container's image: before it is looked for or pulled, and when it is there or is not to
  // be had for now.
  kImageBegun,
  kImageReady,
  kImageFailed,
};

enum class PodStage {
  kRunning,  // or on its way to it
  kEnded,    // its status is terminal: nothing of it runs, and nothing will
  kRemoved,  // the API server has it no more; what is left in the runtime is being removed
};

// Told what happens to pods. Calls come from workers and hold them up, so they must be short; they
// may be repeated, and are repeated by an agent that comes after one that died. For one pod they
// come one after the other. Thread safe.
class PodObserver {
 public:
  virtual ~PodObserver() = default;

  // Before the step is begun, or when its end is known.
  virtual void OnMoment(const kube::Pod& pod, PodMoment moment, WallTime when) = 0;

  // After each round of work on a pod; with kRemoved before anything of it is removed. With
  // kRemoved the pod may be known by the runtime's labels only: it has a UID, a name and a
  // namespace then.
  virtual void OnView(const PodView& view, PodStage stage, WallTime when) = 0;

  // Nothing is left of it.
  virtual void OnGone(const std::string& uid, WallTime when) = 0;
};

}  // namespace farlet::pod
