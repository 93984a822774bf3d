#pragma once

#include "provider/server/exchange.h"
#include "provider/server/handlers.h"
#include "runtime/base/clock.h"

#include <memory>
#include <string_view>

namespace farlet::server {

struct RouteContext {
  Handlers handlers;
  const Clock& clock;
};

// One function a route; all run on the I/O thread and answer through the exchange, then or later.
// The path has been matched; the context outlives the call, not what it started.
using Route = void (*)(const RouteContext& context, const ExchangePtr& exchange);

void RouteHealth(const RouteContext& context, const ExchangePtr& exchange);
void RoutePods(const RouteContext& context, const ExchangePtr& exchange);
void RouteRunningPods(const RouteContext& context, const ExchangePtr& exchange);
void RouteConfig(const RouteContext& context, const ExchangePtr& exchange);
void RouteMetrics(const RouteContext& context, const ExchangePtr& exchange);
void RouteCost(const RouteContext& context, const ExchangePtr& exchange);
void RouteContainerLogs(const RouteContext& context, const ExchangePtr& exchange);
void RouteExec(const RouteContext& context, const ExchangePtr& exchange);
void RouteAttach(const RouteContext& context, const ExchangePtr& exchange);
void RoutePortForward(const RouteContext& context, const ExchangePtr& exchange);
void RouteRun(const RouteContext& context, const ExchangePtr& exchange);

// The routes of the kubelet API: unknown paths answer 404, known ones with a wrong method 405.
void Dispatch(const RouteContext& context, const ExchangePtr& exchange);

// Only /healthz and what is below it, for the plain listener.
void DispatchHealth(const RouteContext& context, const ExchangePtr& exchange);

// {namespace}/{pod}[/{uid}]/{container} after the first segment.
ContainerRef ContainerFromPath(const Request& request);

}  // namespace farlet::server
