#include "provider/server/routes.h"

namespace farlet::server {
namespace {

Status CheckLoop(const RouteContext& context) {
  return context.handlers.sync_loop ? context.handlers.sync_loop() : Status();
}

}  // namespace

// /healthz, /healthz/ping, /healthz/log, /healthz/syncloop.
void RouteHealth(const RouteContext& context, const ExchangePtr& exchange) {
  const auto& segments = exchange->request().segments;
  const std::string check = segments.size() > 1 ? segments[1] : std::string();
  if (check == "ping" || check == "log") {
    exchange->Reply({.body = "ok"});
    return;
  }
  if (!check.empty() && check != "syncloop") {
    exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    return;
  }
  const Status loop = CheckLoop(context);
  if (loop) {
    exchange->Reply({.body = "ok"});
    return;
  }
  exchange->Reply({.status = 500,
                   .body = "[+]ping ok\n[+]log ok\n[-]syncloop failed: " + loop.error().message +
                           "\nhealthz check failed\n"});
}

}  // namespace farlet::server
