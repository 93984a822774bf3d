#include "runtime/shim/start_command.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/shim/pool/take_spare.h"
#include "runtime/shim/process_id.h"
#include "runtime/shim/read_to_end.h"
#include "runtime/shim/serve_command.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/spawn.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/start_input.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

constexpr size_t kMaxInput = 1u << 20;
constexpr mode_t kAddressMode = 0600;

std::string Environment(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and nobody changes it.
  const char* const value = ::getenv(name);
  return value == nullptr ? "" : value;
}

Result<std::string> ReadInput() {
  if (::isatty(STDIN_FILENO) == 1) {
    return std::string();  // somebody tries it by hand
  }
  return ReadToEnd(STDIN_FILENO, kMaxInput, "the standard input");
}

// Starts this executable again as the shim, with the listening socket as kListenFd and none of our
// own descriptors: containerd reads our output to its end.
Result<pid_t> Spawn(const CommandLine& line, const UniqueFd& listening, const UniqueFd& null) {
  std::vector<std::string> arguments = {
      "-namespace", line.containerd_namespace, "-id", line.id, "-address", line.address};
  if (line.debug) {
    arguments.emplace_back("-debug");
  }
  arguments.emplace_back("serve");
  return SpawnSelf(std::move(arguments),
                   {{null.get(), STDIN_FILENO},
                    {null.get(), STDOUT_FILENO},
                    {null.get(), STDERR_FILENO},
                    {listening.get(), kListenFd}},
                   "start the shim");
}

// A little more willing to be killed than containerd, as runc's shim is.
void SetOomScore(pid_t shim) {
  constexpr int kMaxScore = 1000;
  const auto text = ReadFile(fmt::format("/proc/{}/oom_score_adj", ::getppid()), 32);
  if (!text) {
    return;
  }
  const int score = std::min(std::atoi(text->c_str()) + 1, kMaxScore);  // NOLINT(cert-err34-c)
  // Nothing depends on it.
  (void)WriteKernelFile(fmt::format("/proc/{}/oom_score_adj", shim), std::to_string(score));
}

Result<std::string> StartShim(const CommandLine& line,
                              const StartInput& input,
                              const Document& spec,
                              const std::filesystem::path& socket) {
  auto listening = ListenUnix(socket);
  if (!listening) {
    // A start that was repeated: the one that is there does it.
    if (listening.error().code == Code::kAlreadyExists) {
      return "unix://" + socket.string();
    }
    return std::move(listening).error();
  }
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) {
    return ErrnoError(errno, "open /dev/null");
  }
  if (!input.config_path.empty()) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
    ::setenv("FARLET_VM_CONFIG", input.config_path.c_str(), 1);
  }
  // The one or the other: the listening socket has one owner.
  auto pid = TakeSpare(line, spec, *listening);
  if (!pid) {
    pid = Spawn(line, *listening, null);
  }
  if (!pid) {
    ::unlink(socket.c_str());
    return std::move(pid).error();
  }
  SetOomScore(*pid);
  FARLET_TRY(WriteFileAtomic("shim.pid", std::to_string(*pid), 0644));
  return "unix://" + socket.string();
}

}  // namespace

Result<std::string> RunStart(const CommandLine& line) {
  FARLET_ASSIGN(const std::string bytes, ReadInput());
  FARLET_ASSIGN(const StartInput input, ParseStartInput(bytes, line.id));
  FARLET_ASSIGN(const Document spec, ReadBundle("."));
  FARLET_ASSIGN(const Membership membership, MembershipOf(spec, line.id));
  const std::filesystem::path folder =
      input.socket_folder.empty() ? std::filesystem::path(kSocketFolder) : input.socket_folder;
  FARLET_ASSIGN(const std::filesystem::path socket,
                SocketPath(folder, line.address, line.containerd_namespace, membership.group));
  std::string address = "unix://" + socket.string();
  if (membership.kind == Membership::Kind::kContainer) {
    if (const auto answers = ConnectUnix(socket); !answers) {
      return Wrap("the shim of sandbox " + membership.group, answers.error());
    }
  } else {
    FARLET_ASSIGN(address, StartShim(line, input, spec, socket));
  }
  FARLET_TRY(WriteFileAtomic("address", address, kAddressMode));
  return StartAnswer(address, Environment("MAX_SHIM_VERSION"));
}

}  // namespace farlet::shim
