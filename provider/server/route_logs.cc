#include "provider/server/log_options.h"
#include "provider/server/log_reader.h"
#include "provider/server/routes.h"

#include <utility>

namespace farlet::server {
namespace {

using std::chrono::milliseconds;

// Between the two steps of a rotation there is no file for a moment.
constexpr milliseconds kReopenPause{50};
constexpr int kReopenTries = 20;

void SendLog(const LogTarget& target,
             const LogOptions& options,
             const ExchangePtr& exchange,
             int tries) {
  auto reader = LogReader::Open(target.path, options, target.running);
  if (reader) {
    exchange->Stream(std::move(*reader), options.follow);
    return;
  }
  const bool may_appear = reader.error().code == Code::kNotFound && target.running;
  if (may_appear && tries > 0 && target.running()) {
    exchange->After(kReopenPause, [=] { SendLog(target, options, exchange, tries - 1); });
    return;
  }
  Response response = ErrorResponse(reader.error());
  response.status = 400;
  exchange->Reply(std::move(response));
}

}  // namespace

// /containerLogs/{namespace}/{pod}/{container}
void RouteContainerLogs(const RouteContext& context, const ExchangePtr& exchange) {
  auto options = ParseLogOptions(exchange->request(), context.clock.WallNow());
  if (!options) {
    exchange->Reply(ErrorResponse(options.error()));
    return;
  }
  if (!context.handlers.log_target) {
    exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    return;
  }
  context.handlers.log_target(ContainerFromPath(exchange->request()), options->previous,
                              [exchange, options = *options](Result<LogTarget> target) {
                                if (!target) {
                                  exchange->Reply(ErrorResponse(target.error()));
                                  return;
                                }
                                // Files are read on the I/O thread.
                                exchange->After(milliseconds(0),
                                                [exchange, options, target = std::move(*target)] {
                                                  SendLog(target, options, exchange, kReopenTries);
                                                });
                              });
}

}  // namespace farlet::server
