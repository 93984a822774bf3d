#include "runtime/shim/delete_command.h"

#include "proto/containerd/task/v2/task.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/shim/mountinfo.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/state_file.h"
#include "runtime/shim/timestamp.h"

#include <unistd.h>

#include <filesystem>
#include <utility>

namespace farlet::shim {
namespace {

constexpr uint32_t kKilled = 137;
constexpr std::string_view kUnixScheme = "unix://";
constexpr size_t kMaxAddress = 4096;

// Where the shim of this id listens, if it is one that a shim was started for: a sandbox, or a
// container without one. The bundle may be on its way out already, and its address with it.
Result<std::filesystem::path> SocketOf(const CommandLine& line,
                                       const std::filesystem::path& bundle) {
  std::filesystem::path folder(kSocketFolder);
  const auto address = ReadFile(bundle / "address", kMaxAddress);
  if (address && address->starts_with(kUnixScheme)) {
    folder = std::filesystem::path(address->substr(kUnixScheme.size())).parent_path();
  }
  return SocketPath(folder, line.address, line.containerd_namespace, line.id);
}

Status RemoveLeftovers(const std::filesystem::path& socket) {
  if (ConnectUnix(socket)) {
    return {};  // the shim lives, and will do it
  }
  const Result<HostState> state = ReadState(socket);
  if (!state && state.error().code == Code::kNotFound) {
    return {};  // a container of a pod, or all is gone
  }
  if (!state) {
    log::Warning("what the pod left is not known", {{"error", state.error()}});
    return {};
  }
  FARLET_TRY(RemoveHostState(*state));
  RemoveState(*state);
  return {};
}

}  // namespace

Result<std::string> RunDelete(const CommandLine& line) {
  std::error_code gone;
  const std::filesystem::path bundle = line.bundle.empty() ? std::filesystem::current_path(gone)
                                                           : std::filesystem::path(line.bundle);
  FARLET_ASSIGN(const std::filesystem::path socket, SocketOf(line, bundle));
  FARLET_TRY(RemoveLeftovers(socket));
  FARLET_TRY(UnmountBelow(bundle / "rootfs"));
  ::containerd::task::v2::DeleteResponse response;
  response.set_exit_status(kKilled);
  *response.mutable_exited_at() = ToTimestamp(RealClock().WallNow());
  return response.SerializeAsString();
}

}  // namespace farlet::shim
