#include "provider/server/routes.h"

namespace farlet::server {
namespace {

// Answers with the JSON that `source` calls back with.
void ReplyJson(const std::function<void(Callback<std::string>)>& source,
               const ExchangePtr& exchange) {
  if (!source) {
    exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    return;
  }
  source([exchange](Result<std::string> document) {
    if (!document) {
      exchange->Reply(ErrorResponse(document.error()));
      return;
    }
    exchange->Reply({.body = std::move(*document), .content_type = std::string(kJson)});
  });
}

}  // namespace

// /pods
void RoutePods(const RouteContext& context, const ExchangePtr& exchange) {
  ReplyJson(context.handlers.pods, exchange);
}

// /runningpods/
void RouteRunningPods(const RouteContext& context, const ExchangePtr& exchange) {
  ReplyJson(context.handlers.running_pods, exchange);
}

// /configz
void RouteConfig(const RouteContext& context, const ExchangePtr& exchange) {
  ReplyJson(context.handlers.configz, exchange);
}

}  // namespace farlet::server
