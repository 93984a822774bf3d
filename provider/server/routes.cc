#include "provider/server/routes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

namespace farlet::server {
namespace {

struct Entry {
  std::string_view root;
  // How many segments may follow the first.
  size_t least;
  size_t most;
  bool get;
  bool post;
  Route route;
};

constexpr std::array kRoutes{
    Entry{"healthz", 0, 1, true, false, RouteHealth},
    Entry{"pods", 0, 0, true, false, RoutePods},
    Entry{"runningpods", 0, 0, true, false, RouteRunningPods},
    Entry{"configz", 0, 0, true, false, RouteConfig},
    Entry{"metrics", 0, 0, true, false, RouteMetrics},
    Entry{"farlet", 1, 1, true, false, RouteCost},
    Entry{"containerLogs", 3, 3, true, false, RouteContainerLogs},
    Entry{"exec", 3, 4, true, true, RouteExec},
    Entry{"attach", 3, 4, true, true, RouteAttach},
    Entry{"portForward", 2, 3, true, true, RoutePortForward},
    Entry{"run", 3, 4, false, true, RouteRun},
};

const Entry* FindRoute(const Request& request) {
  if (request.segments.empty()) {
    return nullptr;
  }
  const size_t rest = request.segments.size() - 1;
  const auto* found = std::find_if(kRoutes.begin(), kRoutes.end(), [&](const Entry& entry) {
    return entry.root == request.segments.front() && rest >= entry.least && rest <= entry.most;
  });
  return found == kRoutes.end() ? nullptr : found;
}

void DispatchTo(const Entry* entry, const RouteContext& context, const ExchangePtr& exchange) {
  if (entry == nullptr) {
    exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    return;
  }
  const std::string& method = exchange->request().method;
  if ((method == "GET" && entry->get) || (method == "POST" && entry->post)) {
    entry->route(context, exchange);
    return;
  }
  std::vector<std::string_view> allowed;
  if (entry->get) {
    allowed.emplace_back("GET");
  }
  if (entry->post) {
    allowed.emplace_back("POST");
  }
  exchange->Reply({.status = 405,
                   .body = "405: Method Not Allowed",
                   .headers = {{"Allow", fmt::format("{}", fmt::join(allowed, ", "))}}});
}

}  // namespace

void Dispatch(const RouteContext& context, const ExchangePtr& exchange) {
  DispatchTo(FindRoute(exchange->request()), context, exchange);
}

void DispatchHealth(const RouteContext& context, const ExchangePtr& exchange) {
  const Entry* entry = FindRoute(exchange->request());
  DispatchTo(entry != nullptr && entry->route == RouteHealth ? entry : nullptr, context, exchange);
}

ContainerRef ContainerFromPath(const Request& request) {
  const auto& segments = request.segments;
  return {
      .pod_namespace = segments[1],
      .pod = segments[2],
      .uid = segments.size() > 4 ? segments[3] : std::string(),
      .container = segments.back(),
  };
}

}  // namespace farlet::server
