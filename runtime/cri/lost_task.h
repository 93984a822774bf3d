#pragma once

#include "proto/containerd/tasks/tasks.grpc.pb.h"
#include "runtime/base/result.h"
#include "runtime/cri/call.h"

#include <optional>
#include <string>

namespace farlet::cri {

// A caller that dies while containerd makes a container's task leaves a task that CRI does not know
// of: for CRI the container failed to start, so it stops nothing, and then cannot remove the
// container (seen with containerd 1.6.20: "cannot delete running task ID: failed precondition").

// The container whose lost task made `error`; nothing when that is not what happened.
std::optional<std::string> LostTaskOf(const Error& error);

// Kills the task of a container and deletes it, by containerd's own task service. A task that is
// gone is success. `scope` and `stub` must outlive the calls; `done` as with every call of Client.
// Errors: those of the service; kUnimplemented from a runtime that is not containerd.
void EndTask(CallScope& scope,
             ::containerd::services::tasks::v1::Tasks::Stub& stub,
             const std::string& container,
             StatusCallback done);

}  // namespace farlet::cri
