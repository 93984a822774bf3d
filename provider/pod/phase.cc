#include "provider/pod/phase.h"

#include "provider/pod/container_status.h"

#include <utility>

namespace farlet::pod {
namespace {

// How many containers do what.
struct Tally {
  int pending_init = 0;
  int pending_sidecars = 0;
  int failed_for_good = 0;  // init containers
  int unknown = 0;
  int running = 0;
  int waiting = 0;
  int stopped = 0;
  int stopped_for_good = 0;
  int succeeded = 0;
};

void CountInit(const kube::PodSpec& spec,
               const kube::Container& container,
               const Json* status,
               Tally& tally) {
  const Json* end = FindState(status, "state", "terminated");
  if (end == nullptr && FindState(status, "state", "waiting") != nullptr) {
    end = FindState(status, "lastState", "terminated");
  }
  if (end == nullptr) {
    ++tally.pending_init;
  } else if (ExitCodeOf(*end) != 0 && !RestartsAfter(spec, container, ExitCodeOf(*end))) {
    ++tally.failed_for_good;
  }
}

void CountSidecar(const Json* status, Tally& tally) {
  if (status == nullptr) {
    ++tally.unknown;
  } else if (FindState(status, "state", "running") != nullptr) {
    const Json* started = Member(*status, "started");
    tally.pending_sidecars += started != nullptr && *started == true ? 0 : 1;
    ++tally.running;
  } else if (FindState(status, "state", "terminated") == nullptr &&
             FindState(status, "lastState", "terminated") == nullptr) {
    ++tally.pending_sidecars;
    ++tally.waiting;
  }
}

void CountRegular(const kube::PodSpec& spec,
                  const kube::Container& container,
                  const Json* status,
                  Tally& tally) {
  const Json* end = FindState(status, "state", "terminated");
  const Json* last = FindState(status, "lastState", "terminated");
  if (FindState(status, "state", "running") != nullptr) {
    ++tally.running;
  } else if (end != nullptr) {
    ++tally.stopped;
    tally.stopped_for_good += RestartsAfter(spec, container, ExitCodeOf(*end)) ? 0 : 1;
    tally.succeeded += ExitCodeOf(*end) == 0 ? 1 : 0;
  } else if (FindState(status, "state", "waiting") == nullptr) {
    ++tally.unknown;
  } else if (last != nullptr) {
    ++tally.stopped;
    tally.stopped_for_good += RestartsAfter(spec, container, ExitCodeOf(*last)) ? 0 : 1;
  } else {
    ++tally.waiting;
  }
}

Tally Count(const PhaseInput& input) {
  Tally tally;
  for (const kube::Container& container : input.spec.init_containers) {
    const Json* status = FindStatus(input.init_statuses, container.name);
    if (IsSidecar(container)) {
      CountSidecar(status, tally);
    } else {
      CountInit(input.spec, container, status, tally);
    }
  }
  for (const kube::Container& container : input.spec.containers) {
    CountRegular(input.spec, container, FindStatus(input.statuses, container.name), tally);
  }
  return tally;
}

}  // namespace

std::string ComputePhase(const PhaseInput& input) {
  const Tally tally = Count(input);
  if (tally.failed_for_good > 0) {
    return "Failed";
  }
  const bool pending_sidecars = tally.pending_sidecars > 0 && !input.initialized;
  if (tally.pending_init > 0 || pending_sidecars || tally.waiting > 0 || tally.unknown > 0) {
    return "Pending";
  }
  if (tally.running > 0) {
    return "Running";
  }
  if (tally.stopped == 0) {
    return "Pending";
  }
  if (!input.finished && tally.stopped != tally.stopped_for_good) {
    return "Running";
  }
  return tally.stopped == tally.succeeded ? "Succeeded" : "Failed";
}

}  // namespace farlet::pod
