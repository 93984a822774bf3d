#pragma once

#include "provider/fargate/names.h"
#include "provider/metering/pod_run.h"
#include "provider/pod/observer.h"

#include <optional>

// What the ledger is told of a pod, read from what the controller sees of it. Pure functions.
namespace farlet::app {

// Whether it runs under a Fargate profile.
bool IsMetered(const kube::Pod& pod, const fargate::Names& names);

// A run of which nothing has happened yet. Its size is what admission has noted on the pod, else
// what it would note. kOutOfRange or kInvalidArgument when there is no such size.
Result<metering::PodRun> NewRun(const kube::Pod& pod,
                                const fargate::Names& names,
                                const fargate::Rates& rates);

// When the node began with a pod of whose beginning nobody has told: its oldest sandbox. Nothing
// until one of its containers has been made, as until then its images may still be got.
std::optional<WallTime> BeginOf(const pod::PodView& view);

// When the last of its (not init) containers was first seen to run; nothing: not all have.
std::optional<WallTime> StartedOf(const pod::PodView& view);

// When it became Ready; `now` is finer than the status' seconds and is taken if they agree.
std::optional<WallTime> ReadyOf(const pod::PodView& view, WallTime now);

// When a pod in that stage ended; nothing: something of it may still run.
//   - its containers have ended for good: the end of the last of them
//   - it was deleted while it waited for a restart, or before anything of it ran: when that was
//     asked for, unless a container ended later
//   - the node ended it, or nothing else is known: `now`
std::optional<WallTime> EndOf(const pod::PodView& view, pod::PodStage stage, WallTime now);

}  // namespace farlet::app
