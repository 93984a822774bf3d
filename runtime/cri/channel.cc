#include "runtime/cri/channel.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <sys/un.h>

#include <string_view>

namespace farlet::cri {
namespace {

constexpr int kMaxMessageBytes = 32 << 20;  // kubelet: 16 MiB
constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kFirstReconnectMs = 100;
// A restarted runtime is found again within this time.
constexpr int kMaxReconnectMs = 1000;
// For one attempt, on a machine that is busy; a socket that nobody listens on fails at once.
constexpr int kConnectTimeoutMs = 20'000;

Result<std::string> SocketPath(const std::string& endpoint) {
  std::string_view path = endpoint;
  for (const std::string_view scheme : {"unix://", "unix:"}) {
    if (path.starts_with(scheme)) {
      path.remove_prefix(scheme.size());
      break;
    }
  }
  if (!path.starts_with('/')) {
    return InvalidArgument(fmt::format(
        "runtime endpoint \"{}\" is not of the form unix:///absolute/path/of/socket", endpoint));
  }
  if (path.size() > kMaxPath) {
    return InvalidArgument(
        fmt::format("runtime endpoint \"{}\": a socket's path has at most {} bytes, this has {}",
                    endpoint, kMaxPath, path.size()));
  }
  return std::string(path);
}

}  // namespace

Result<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& endpoint) {
  FARLET_ASSIGN(const std::string path, SocketPath(endpoint));
  grpc::ChannelArguments arguments;
  // Without it gRPC sends the percent-encoded path as authority, which some servers refuse.
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectMs);
  // Despite its name: the time limit of an attempt.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  return grpc::CreateCustomChannel("unix:" + path, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace farlet::cri
