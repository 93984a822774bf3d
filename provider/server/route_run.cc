#include "provider/server/routes.h"

#include <utility>

namespace farlet::server {

// POST /run/{namespace}/{pod}[/{uid}]/{container}?cmd=…: the command is split at single spaces, as
// the kubelet does.
void RouteRun(const RouteContext& context, const ExchangePtr& exchange) {
  if (!context.handlers.run) {
    exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    return;
  }
  const Request& request = exchange->request();
  const std::string* command = request.Find("cmd");
  if (command == nullptr || command->empty()) {
    exchange->Reply({.status = 400, .body = "query parameter \"cmd\" is required"});
    return;
  }
  StreamRequest run;
  run.container = ContainerFromPath(request);
  size_t begin = 0;
  while (begin != std::string::npos) {
    const size_t end = command->find(' ', begin);
    run.command.push_back(command->substr(begin, end - begin));
    begin = end == std::string::npos ? end : end + 1;
  }
  context.handlers.run(run, [exchange](Result<std::string> output) {
    exchange->Reply(output ? Response{.body = std::move(*output)} : ErrorResponse(output.error()));
  });
}

}  // namespace farlet::server
