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

// Whether the shim that serves this bundle lives.
bool ShimAnswers(const std::filesystem::path& bundle) {
  auto address = ReadFile(bundle / "address", kMaxAddress);
  if (!address || !address->starts_with(kUnixScheme)) {
    return false;
  }
  return ConnectUnix(address->substr(kUnixScheme.size())).has_value();
}

}  // namespace

Result<std::string> RunDelete(const CommandLine& line) {
  const std::filesystem::path bundle =
      line.bundle.empty() ? std::filesystem::current_path() : std::filesystem::path(line.bundle);
  if (!ShimAnswers(bundle)) {
    // Only the sandbox's bundle has one.
    const Result<HostState> state = ReadState(bundle);
    if (state) {
      FARLET_TRY(RemoveHostState(*state));
      ::unlink(StatePath(bundle).c_str());
    } else if (state.error().code != Code::kNotFound) {
      log::Warning("what the pod left is not known", {{"error", state.error()}});
    }
  }
  FARLET_TRY(UnmountBelow(bundle / "rootfs"));
  ::containerd::task::v2::DeleteResponse response;
  response.set_exit_status(kKilled);
  *response.mutable_exited_at() = ToTimestamp(RealClock().WallNow());
  return response.SerializeAsString();
}

}  // namespace farlet::shim
