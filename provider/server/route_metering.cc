#include "provider/server/routes.h"

namespace farlet::server {
namespace {

constexpr std::string_view kExposition = "text/plain; version=0.0.4; charset=utf-8";

Callback<std::string> ReplyWith(const ExchangePtr& exchange, std::string_view content_type) {
  return [exchange, content_type](Result<std::string> body) {
    if (!body) {
      exchange->Reply(ErrorResponse(body.error()));
      return;
    }
    exchange->Reply({.body = std::move(*body), .content_type = std::string(content_type)});
  };
}

void ReplyUnknown(const ExchangePtr& exchange) {
  exchange->Reply({.status = 404, .body = "404: Page Not Found"});
}

}  // namespace

// /metrics
void RouteMetrics(const RouteContext& context, const ExchangePtr& exchange) {
  if (!context.handlers.metrics) {
    ReplyUnknown(exchange);
    return;
  }
  context.handlers.metrics(ReplyWith(exchange, kExposition));
}

// /farlet/cost: not the kubelet's, and so authorized as nodes/proxy, as everything that it does not
// know.
void RouteCost(const RouteContext& context, const ExchangePtr& exchange) {
  if (exchange->request().segments[1] != "cost" || !context.handlers.cost) {
    ReplyUnknown(exchange);
    return;
  }
  context.handlers.cost(exchange->request().query, ReplyWith(exchange, kJson));
}

}  // namespace farlet::server
