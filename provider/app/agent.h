#pragma once

#include "provider/app/config.h"
#include "provider/app/stop_signal.h"
#include "runtime/base/result.h"

#include <memory>

namespace farlet::app {

// The node agent, put together from its parts (see ARCHITECTURE: who uses whom).
//
//   Make(): reads what the configuration names; nothing has been started when it fails
//   Run():  identity → runtime (client, cache, events, health) → node → pods → kubelet API,
//           then waits for the stop signal and takes it down in reverse; pods go on running
class Agent {
 public:
  // kInvalidArgument or kNotFound, one line that names the setting or the file.
  static Result<std::unique_ptr<Agent>> Make(const NodeConfig& config);
  ~Agent();

  // Returns when `stop` came. An error is one that waiting cannot help.
  Status Run(StopSignal& stop);

 private:
  class Impl;
  explicit Agent(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::app
