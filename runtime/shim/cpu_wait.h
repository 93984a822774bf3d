#pragma once

#include <chrono>

namespace farlet::shim {

// How long this process and its children waited for a CPU since they exist: the sum over the
// processes, each with the thread that waited longest. Little on an idle host, most of the time on
// one with too much to do. 0 where the kernel does not tell (/proc/PID/schedstat).
std::chrono::nanoseconds CpuWait();

}  // namespace farlet::shim
