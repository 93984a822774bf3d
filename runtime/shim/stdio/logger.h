#pragma once

#include "runtime/shim/stdio/names.h"
#include "runtime/shim/stdio/sink.h"

#include <boost/asio/io_context.hpp>

#include <memory>

namespace farlet::shim {

// Where both outputs of a process go.
struct OutputSinks {
  std::shared_ptr<Sink> out;
  std::shared_ptr<Sink> err;
};

// Starts the program of a "binary://" name as containerd has it (its runtime/v2 README, "Binary"):
// descriptor 3 is the process's stdout, 4 its stderr, 5 a pipe that the program closes once it is
// ready, for which nobody need wait here: a pipe holds what comes earlier. CONTAINER_ID and
// CONTAINER_NAMESPACE are in its environment. It ends by itself when both streams have ended, also
// by the shim's death, and is waited for. I/O thread only.
Result<OutputSinks> StartLogger(boost::asio::io_context& io,
                                const StreamTarget& target,
                                const StdioNames& names);

}  // namespace farlet::shim
