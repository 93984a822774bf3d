#include "provider/app/node_command.h"

#include "provider/app/agent.h"
#include "provider/app/stop_signal.h"
#include "provider/app/version.h"
#include "runtime/base/log.h"

#include <cstdio>
#include <memory>

namespace farlet::app {
namespace {

constexpr int kNothingStarted = 2;

int Fail(const Error& error) {
  std::fprintf(stderr, "farlet: %s\n", error.message.c_str());
  return kNothingStarted;
}

}  // namespace

int RunNode(const NodeConfig& config) {
  StopSignal stop;
  log::SetLevel(config.log_level);
  auto agent = Agent::Make(config);
  if (!agent) {
    return Fail(agent.error());
  }
  log::Info("farlet node", {{"version", kVersion},
                            {"node", config.node_name},
                            {"runtime", config.container_runtime_endpoint},
                            {"handler", config.runtime_handler}});
  const Status ended = (*agent)->Run(stop);
  if (!ended && ended.error().code != Code::kCancelled) {
    return Fail(ended.error());
  }
  log::Info("stopped", {{"node", config.node_name}});
  return 0;
}

}  // namespace farlet::app
