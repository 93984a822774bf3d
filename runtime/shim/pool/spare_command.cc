#include "runtime/shim/pool/spare_command.h"

#include "runtime/base/pipe.h"
#include "runtime/base/sha256.h"
#include "runtime/shim/log_fifo.h"
#include "runtime/shim/machine_flags.h"
#include "runtime/shim/pool/handover.h"
#include "runtime/shim/pool/rehearsal.h"
#include "runtime/shim/pool/waiting.h"
#include "runtime/shim/read_to_end.h"
#include "runtime/shim/serve_command.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/spawn.h"
#include "runtime/shim/vm_machine.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

using std::filesystem::path;

// Where a spare tells how far it got: kReady, or its error.
constexpr int kReportFd = 3;
constexpr std::string_view kReady = "ready";
constexpr size_t kMaxReport = 4096;
constexpr std::chrono::seconds kPlayTime{60};
// How long one may wait whom nobody would find any more.
constexpr std::chrono::milliseconds kLookAround{60000};

void Report(std::string_view text) {
  // Whoever made it may be gone, and then nobody wants to know.
  (void)::write(kReportFd, text.data(), std::min(text.size(), kMaxReport));
  ::close(kReportFd);
}

// A machine in waiting, from its making to its pod or end.
class Spare {
 public:
  explicit Spare(const CommandLine& line) : line_(line), config_path_(vm::HostConfigPath("")) {}

  Status Make() {
    FARLET_ASSIGN(folder_, PoolFolder(config_path_, line_.address));
    FARLET_ASSIGN(const vm::HostConfig config, vm::LoadHostConfig(config_path_));
    FARLET_ASSIGN(const vm::MachineSize size, SizeFromFlags(line_, config));
    FARLET_ASSIGN(const ProcessId self, IdOf(::getpid()));
    const path socket = SpareSocket(folder_, size, self.pid);
    machine_ = std::make_shared<VmMachine>(VmMachine::Options{
        .config = config_path_,
        .name =
            "spare-" + Sha256Hex(socket.string() + std::to_string(self.start_time)).substr(0, 16),
        .pod = {},
        .state = {.shim = self, .socket = socket},
        .size = size});
    FARLET_ASSIGN(lent_, machine_->BootSpare());
    FARLET_ASSIGN(const path stage, MakeStage(config.cache_dir));
    FARLET_TRY(
        Rehearse(*machine_, lent_.agent, stage, std::chrono::steady_clock::now() + kPlayTime));
    FARLET_TRY(machine_->Pause());
    FARLET_ASSIGN(listening_, ListenUnix(socket, SocketKind::kMessages));
    return {};
  }

  // The offer that came; none: it is to end.
  std::optional<Offer> Wait() {
    for (;;) {
      std::array<pollfd, 3> events = {
          pollfd{.fd = listening_.get(), .events = POLLIN, .revents = 0},
          pollfd{.fd = lent_.exit_fd, .events = POLLIN, .revents = 0},
          pollfd{.fd = lent_.files_exit_fd, .events = POLLIN, .revents = 0}};
      const int count = ::poll(events.data(), events.size(), static_cast<int>(kLookAround.count()));
      const bool broken = events[1].revents != 0 || events[2].revents != 0;
      if (broken || (count < 0 && errno != EINTR) || (count == 0 && !WouldBeFound())) {
        return std::nullopt;
      }
      if (count > 0) {
        Result<Handover> handover = Accept();
        if (handover && (handover->end || handover->offer)) {
          return std::move(handover->offer);
        }
      }
    }
  }

  // The end, or another beginning: nobody finds it any more.
  void StopListening() {
    const HostState state = machine_->host_state();
    listening_.Close();
    ::unlink(state.socket.c_str());
  }

  std::shared_ptr<VmMachine> TakeMachine() { return std::move(machine_); }

  // As if it had never been.
  void Remove() {
    if (!machine_) {
      return;  // it did not get that far
    }
    HostState state = machine_->host_state();
    machine_->Release();
    RemoveState(state);
    state.shim = {};  // not ourselves
    (void)RemoveHostState(state).has_value();
  }

 private:
  bool WouldBeFound() const {
    const Result<path> folder = PoolFolder(config_path_, line_.address);
    return folder && *folder == folder_;
  }

  Result<Handover> Accept() const {
    UniqueFd connection(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) {
      return ErrnoError(errno, "accept");
    }
    return TakeOver(std::move(connection));
  }

  const CommandLine& line_;
  const path config_path_;
  path folder_;
  std::shared_ptr<VmMachine> machine_;
  VmMachine::Lent lent_;
  UniqueFd listening_;
};

// From here on this process is what `start` would have started.
Status Become(Offer offer, std::shared_ptr<VmMachine> machine) {
  // NOLINTBEGIN(concurrency-mt-unsafe): the machine's threads do not look at the environment.
  ::clearenv();
  for (const std::string& variable : offer.environment) {
    const size_t equals = variable.find('=');
    if (equals != std::string::npos) {
      ::setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
    }
  }
  // NOLINTEND(concurrency-mt-unsafe)
  if (::fchdir(offer.bundle.get()) != 0) {
    return ErrnoError(errno, "enter the bundle");
  }
  offer.bundle.Close();
  return Serve(offer.line, std::move(offer.listening), std::move(machine));
}

}  // namespace

Status MakeSpare(vm::MachineSize size, const std::string& containerd_address) {
  FARLET_ASSIGN(Pipe report, MakePipe());
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<std::string> arguments = SizeFlags(size);
  arguments.insert(arguments.end(), {"-address", containerd_address, "spare"});
  FARLET_ASSIGN(const pid_t pid, SpawnSelf(std::move(arguments),
                                           {{null.get(), STDIN_FILENO},
                                            {null.get(), STDOUT_FILENO},
                                            {null.get(), STDERR_FILENO},
                                            {report.write.get(), kReportFd}},
                                           "start a spare"));
  report.write.Close();
  FARLET_ASSIGN(const std::string said,
                ReadToEnd(report.read.get(), kMaxReport, "what a spare says"));
  if (said == kReady) {
    return {};
  }
  ::waitpid(pid, nullptr, 0);
  return Internal("make a spare: " + (said.empty() ? "it died" : said));
}

Status RunSpare(const CommandLine& line) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet
  ::mallopt(M_ARENA_MAX, 1);
  ::fcntl(kReportFd, F_SETFD, FD_CLOEXEC);
  LogNothing();  // what matters is reported
  if (::chdir("/") != 0) {
    return ErrnoError(errno, "enter /");
  }
  Spare spare(line);
  if (Status made = spare.Make(); !made) {
    Report(made.error().message);
    spare.Remove();
    return made;
  }
  Report(kReady);
  std::optional<Offer> offer = spare.Wait();
  spare.StopListening();
  if (!offer) {
    spare.Remove();
    return {};
  }
  return Become(std::move(*offer), spare.TakeMachine());
}

}  // namespace farlet::shim
