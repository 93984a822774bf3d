#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"
#include "runtime/shim/machine.h"

#include <filesystem>

namespace farlet::shim {

// Takes a machine that has no pod yet through all that the start of one will ask of it: identity
// and network, a volume, a container with an image, shared files and what CRI mounts, its output
// and its end. Where instructions are emulated they are translated then; anywhere the guest's
// kernel has found what it needs. Afterwards the guest is as before, but for one image slot.
//
// `agent` is the port of the guest's agent; `folder` is one of ours (MakeStage).
Status Rehearse(Machine& machine,
                int agent,
                const std::filesystem::path& folder,
                SteadyTime deadline);

// The image of the rehearsal's container and the files that it shares, below a folder of the cache;
// made when it is missing. Not at the same time by two processes.
Result<std::filesystem::path> MakeStage(const std::filesystem::path& cache);

}  // namespace farlet::shim
