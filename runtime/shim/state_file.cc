#include "runtime/shim/state_file.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/spec/cursor.h"
#include "runtime/vm/net/pod_network.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace farlet::shim {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMaxBytes = 64u << 10;
constexpr mode_t kMode = 0600;
constexpr std::chrono::milliseconds kKillPatience{2000};

json ToJson(const ProcessId& id) {
  return {{"pid", id.pid}, {"startTime", id.start_time}};
}

ProcessId ReadProcess(const Cursor& from) {
  return {.pid = static_cast<pid_t>(from["pid"].Unsigned(INT32_MAX)),
          .start_time = from["startTime"].Unsigned()};
}

}  // namespace

std::filesystem::path StatePath(const std::filesystem::path& socket) {
  return socket.string() + ".json";
}

void RemoveState(const HostState& state) {
  const Result<HostState> there = ReadState(state.socket);
  if (there && there->shim == state.shim) {
    ::unlink(StatePath(state.socket).c_str());
  }
}

Status WriteState(const HostState& state) {
  json cgroups = json::array();
  for (const auto& folder : state.cgroups) {
    cgroups.push_back(folder.string());
  }
  const json document = {{"version", kVersion},
                         {"shim", ToJson(state.shim)},
                         {"qemu", ToJson(state.qemu)},
                         {"fileServer", ToJson(state.file_server)},
                         {"socket", state.socket.string()},
                         {"workDir", state.work_dir.string()},
                         {"disk", state.disk.string()},
                         {"netns", state.netns.string()},
                         {"cgroups", std::move(cgroups)}};
  return WriteFileAtomic(StatePath(state.socket), document.dump(), kMode);
}

Result<HostState> ReadState(const std::filesystem::path& socket) {
  const std::string path = StatePath(socket).string();
  FARLET_ASSIGN(const std::string text, ReadFile(path, kMaxBytes));
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    return InvalidArgument("read " + path + ": not JSON");
  }
  const Cursor root(document);
  if (root["version"].Unsigned() != kVersion) {
    root["version"].Refuse("of another shim");
  }
  HostState state{.shim = ReadProcess(root["shim"]),
                  .qemu = ReadProcess(root["qemu"]),
                  .file_server = ReadProcess(root["fileServer"]),
                  .socket = root["socket"].Text(),
                  .work_dir = root["workDir"].Text(),
                  .disk = root["disk"].Text(),
                  .netns = root["netns"].Text()};
  for (auto& folder : root["cgroups"].Texts()) {
    state.cgroups.emplace_back(std::move(folder));
  }
  FARLET_TRY(Annotate(root.status(), "read " + path));
  return state;
}

Status RemoveHostState(const HostState& state) {
  std::optional<Error> first;
  const auto note = [&](const Status& status) {
    if (!status) {
      log::Warning("remove what a pod left", {{"error", status.error()}});
      first = first ? first : status.error();
    }
  };
  note(KillAndWait(state.shim, kKillPatience));
  note(KillAndWait(state.qemu, kKillPatience));
  note(KillAndWait(state.file_server, kKillPatience));
  if (!state.netns.empty()) {
    note(net::Detach(state.netns));
  }
  if (!state.disk.empty() && ::unlink(state.disk.c_str()) != 0 && errno != ENOENT) {
    note(ErrnoError(errno, "remove " + state.disk.string()));
  }
  if (!state.work_dir.empty()) {
    std::error_code error;
    std::filesystem::remove_all(state.work_dir, error);
    note(error ? Status(ErrnoError(error.value(), "remove " + state.work_dir.string())) : Status());
  }
  RemoveCgroups(state.cgroups);
  // Whoever answers there is another pod's by now.
  if (!state.socket.empty() && !ConnectUnix(state.socket)) {
    ::unlink(state.socket.c_str());
  }
  return first ? Status(*first) : Status();
}

}  // namespace farlet::shim
