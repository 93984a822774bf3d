#include "provider/server/routes.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace farlet::server {
namespace {

constexpr size_t kMaxPorts = 256;

bool CheckUpgrade(const ExchangePtr& exchange) {
  const Request& request = exchange->request();
  const bool known =
      request.upgrade_protocol == "spdy/3.1" || request.upgrade_protocol == "websocket";
  if (request.upgrade && known) {
    return true;
  }
  exchange->Reply({.status = 400, .body = "Upgrade request required"});
  return false;
}

// What is not there is said before a missing upgrade is, as the kubelet does.
Callback<std::string> TunnelOrError(const ExchangePtr& exchange) {
  return [exchange](Result<std::string> url) {
    if (!url) {
      exchange->Reply(ErrorResponse(url.error()));
    } else if (CheckUpgrade(exchange)) {
      exchange->Tunnel(std::move(*url));
    }
  };
}

void NotFound(const ExchangePtr& exchange) {
  exchange->Reply({.status = 404, .body = "404: Page Not Found"});
}

Result<StreamRequest> ParseStreamRequest(const Request& request) {
  StreamRequest stream;
  stream.container = ContainerFromPath(request);
  stream.in = request.Flag("input");
  stream.out = request.Flag("output");
  stream.tty = request.Flag("tty");
  // A terminal has one output; the kubelet drops the other one, too.
  stream.err = request.Flag("error") && !stream.tty;
  if (!stream.in && !stream.out && !stream.err) {
    return InvalidArgument("you must specify at least 1 of stdin, stdout, stderr");
  }
  for (const auto& [name, value] : request.query) {
    if (name == "command") {
      stream.command.push_back(value);
    }
  }
  return stream;
}

Status ParsePorts(std::string_view text, std::vector<int32_t>& ports) {
  if (text.empty()) {
    return InvalidArgument("query parameter \"port\" cannot be empty");
  }
  const std::string_view whole = text;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    int32_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + comma, port);
    if (error != std::errc() || end != text.data() + comma || port < 1 || port > 65535) {
      return InvalidArgument(fmt::format("unable to parse \"{}\" as a port", whole));
    }
    if (ports.size() >= kMaxPorts) {
      return InvalidArgument("too many ports");
    }
    ports.push_back(port);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return {};
}

Result<PortForwardRequest> ParsePortForward(const Request& request) {
  PortForwardRequest forward;
  forward.pod_namespace = request.segments[1];
  forward.pod = request.segments[2];
  forward.uid = request.segments.size() > 3 ? request.segments[3] : std::string();
  if (request.upgrade_protocol != "websocket") {
    return forward;  // SPDY names the port in each stream
  }
  for (const auto& [name, value] : request.query) {
    if (name == "port") {
      FARLET_TRY(ParsePorts(value, forward.ports));
    }
  }
  if (forward.ports.empty()) {
    return InvalidArgument("query parameter \"port\" is required");
  }
  return forward;
}

using StreamUrl = std::function<void(const StreamRequest&, Callback<std::string>)>;

void RouteStream(const StreamUrl& url, bool needs_command, const ExchangePtr& exchange) {
  if (!url) {
    NotFound(exchange);
    return;
  }
  auto stream = ParseStreamRequest(exchange->request());
  if (stream && needs_command && stream->command.empty()) {
    stream = InvalidArgument("query parameter \"command\" is required");
  }
  if (!stream) {
    exchange->Reply(ErrorResponse(stream.error()));
    return;
  }
  url(*stream, TunnelOrError(exchange));
}

}  // namespace

// /exec/{namespace}/{pod}[/{uid}]/{container}
void RouteExec(const RouteContext& context, const ExchangePtr& exchange) {
  RouteStream(context.handlers.exec_url, true, exchange);
}

// /attach/{namespace}/{pod}[/{uid}]/{container}
void RouteAttach(const RouteContext& context, const ExchangePtr& exchange) {
  RouteStream(context.handlers.attach_url, false, exchange);
}

// /portForward/{namespace}/{pod}[/{uid}]
void RoutePortForward(const RouteContext& context, const ExchangePtr& exchange) {
  if (!context.handlers.port_forward_url) {
    NotFound(exchange);
    return;
  }
  auto forward = ParsePortForward(exchange->request());
  if (!forward) {
    exchange->Reply(ErrorResponse(forward.error()));
    return;
  }
  context.handlers.port_forward_url(*forward, TunnelOrError(exchange));
}

}  // namespace farlet::server
