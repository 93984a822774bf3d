#include "runtime/shim/delete_command.h"

#include "proto/containerd/task/v2/task.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/mountinfo.h"
#include "runtime/shim/process_id.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/state_file.h"
#include "runtime/shim/timestamp.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

constexpr uint32_t kKilled = 137;
constexpr std::string_view kUnixScheme = "unix://";
constexpr size_t kMaxAddress = 4096;

// Where the shims' sockets are. The bundle may be on its way out already, and its address with it.
path SocketFolder(const path& bundle) {
  const auto address = ReadFile(bundle / "address", kMaxAddress);
  if (address && address->starts_with(kUnixScheme)) {
    return path(address->substr(kUnixScheme.size())).parent_path();
  }
  return kSocketFolder;
}

// Of one shim, if it is gone.
void RemoveLeftovers(const path& socket) {
  const Result<HostState> state = ReadState(socket);
  if (!state) {
    log::Warning("what a pod left is not known", {{"error", state.error()}});
    return;
  }
  if (state->socket != socket || IsAlive(state->shim) || ConnectUnix(socket)) {
    return;
  }
  if (RemoveHostState(*state)) {
    RemoveState(*state);
  }
}

// Of all shims that are gone, whoever's: containerd removes a bundle while it starts `delete` for
// it, so for the pod whose shim was killed it may never have run.
void RemoveAllLeftovers(const path& folder) {
  constexpr std::string_view kSuffix = ".json";
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().string();
    if (name.ends_with(kSuffix)) {
      RemoveLeftovers(name.substr(0, name.size() - kSuffix.size()));
    }
  }
}

}  // namespace

Result<std::string> RunDelete(const CommandLine& line) {
  std::error_code gone;
  const path bundle = line.bundle.empty() ? std::filesystem::current_path(gone) : path(line.bundle);
  RemoveAllLeftovers(SocketFolder(bundle));
  FARLET_TRY(UnmountBelow(bundle / "rootfs"));
  ::containerd::task::v2::DeleteResponse response;
  response.set_exit_status(kKilled);
  *response.mutable_exited_at() = ToTimestamp(RealClock().WallNow());
  return response.SerializeAsString();
}

}  // namespace farlet::shim
