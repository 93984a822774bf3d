#include "runtime/shim/serve_command.h"

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/sha256.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/events.h"
#include "runtime/shim/log_fifo.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/pool/fill_command.h"
#include "runtime/shim/port_forward.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/state_file.h"
#include "runtime/shim/task/task_service.h"
#include "runtime/shim/vm_machine.h"
#include "runtime/ttrpc/server.h"

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

namespace asio = boost::asio;

constexpr size_t kPoolThreads = 3;
constexpr std::chrono::milliseconds kFlushPatience{1000};
constexpr std::chrono::milliseconds kAnswerTime{50};
constexpr std::chrono::milliseconds kFillDelay{2000};
constexpr size_t kNameDigits = 16;

std::string Environment(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before there are threads
  const char* const value = ::getenv(name);
  return value == nullptr ? "" : value;
}

// The path that the listening socket is bound to.
std::filesystem::path SocketOf(int fd) {
  sockaddr_un address{};
  socklen_t size = sizeof(address);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets API asks for it.
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return {};
  }
  return {static_cast<const char*>(address.sun_path)};
}

// One shim, from its parts to its end.
class Shim {
 public:
  Shim(const CommandLine& line, std::filesystem::path bundle, std::shared_ptr<VmMachine> spare)
      : line_(line),
        bundle_(std::move(bundle)),
        machine_(std::move(spare)),
        pool_(kPoolThreads),
        server_(io_),
        fill_(io_),
        stop_(io_),
        end_(io_) {}

  ~Shim() { pool_.join(); }

  Shim(const Shim&) = delete;
  Shim& operator=(const Shim&) = delete;

  Status Run(UniqueFd listening) {
    state_.socket = SocketOf(listening.get());
    state_.shim = IdOf(::getpid()).value_or(ProcessId{});
    const Result<Document> spec = ReadBundle(bundle_);
    PodSpec pod;
    std::optional<Error> refused;
    if (auto read = spec ? ReadPodSpec(*spec, line_.id) : Result<PodSpec>(spec.error()); read) {
      pod = std::move(*read);
    } else {
      // containerd learns it from Create, which is where it looks for reasons.
      refused = std::move(read).error();
    }
    EnterPodCgroup(pod);
    if (machine_) {
      Assign(pod);
    } else {
      Record();
      MakeMachine(std::move(pod));
    }
    Assemble();
    server_.Listen(std::move(listening), {.peer_uid = ::getuid()});
    refused ? pod_->Refuse(*refused) : pod_->Boot();
    stop_.add(SIGTERM);
    stop_.add(SIGINT);
    stop_.async_wait([this](const boost::system::error_code& error, int /*signal*/) {
      if (!error) {
        ShutDown(nullptr);
      }
    });
    io_.run();
    // A start of the VM that was under way has made things until now.
    pool_.join();
    RemoveEverything();
    return {};
  }

 private:
  void EnterPodCgroup(const PodSpec& pod) {
    if (pod.cgroups_path.empty()) {
      return;
    }
    const Result<std::filesystem::path> path = CgroupPath(pod.cgroups_path);
    if (!path) {
      log::Warning("the pod's cgroup is not used", {{"error", path.error()}});
      return;
    }
    const std::vector<std::filesystem::path> folders = CgroupFolders(*path);
    state_.cgroups = EnterCgroup(folders, ::getpid());
    if (machine_) {
      const HostState spare = machine_->host_state();
      EnterCgroup(folders, spare.qemu.pid);
      EnterCgroup(folders, spare.file_server.pid);
    }
  }

  void Record() {
    if (const Status written = WriteState(state_); !written) {
      log::Error("a killed shim will leave things behind", {{"error", written.error()}});
    }
  }

  // At every moment one file says what this process has made.
  void Assign(const PodSpec& pod) {
    const HostState before = machine_->host_state();
    machine_->Assign(pod, state_);
    state_ = machine_->host_state();
    Record();
    RemoveState(before);
  }

  void MakeMachine(PodSpec pod) {
    // Not the id alone: its last owner may not be gone yet.
    const std::string key = fmt::format("{}/{}/{}/{}.{}", line_.address, line_.containerd_namespace,
                                        line_.id, state_.shim.pid, state_.shim.start_time);
    machine_ = std::make_shared<VmMachine>(
        VmMachine::Options{.config = vm::HostConfigPath(""),
                           .name = Sha256Hex(key).substr(0, kNameDigits),
                           .pod = std::move(pod),
                           .state = state_});
  }

  void Assemble() {
    const Threads threads{.io = io_, .pool = pool_};
    pod_ = std::make_shared<Pod>(threads, machine_, clock_);
    events_ = std::make_shared<EventPublisher>(
        io_, clock_,
        EventPublisher::Options{.address = Environment("TTRPC_ADDRESS"),
                                .containerd_namespace = line_.containerd_namespace});
    service_ = std::make_shared<TaskService>(
        TaskService::Parts{.threads = threads,
                           .pod = pod_,
                           .events = events_,
                           .clock = clock_,
                           .facts = facts_,
                           .containerd_namespace = line_.containerd_namespace,
                           .cgroup_v2 = IsUnifiedCgroup(),
                           .on_shutdown = [this](auto done) { ShutDown(std::move(done)); }});
    service_->Register(server_);
    forwarder_ = std::make_shared<PortForwarder>(io_, pod_);
    pod_->WhenReady([this](const Status& ready) {
      if (ready) {
        ForwardPorts();
        FillPoolLater();
      }
    });
  }

  // Those who start at the same time come first. A pod that has ended by then waits no longer.
  void FillPoolLater() {
    if (!machine_->HasPool()) {
      return;
    }
    fill_.expires_after(kFillDelay);
    fill_.async_wait([this](const boost::system::error_code& /*ended*/) {
      RunBlocking<void>(
          Threads{.io = io_, .pool = pool_},
          [size = machine_->size(), address = line_.address] {
            return SpawnPoolFiller(size, address);
          },
          [](const Status& begun) {
            if (!begun) {
              log::Warning("the pool is not filled", {{"error", begun.error()}});
            }
          });
    });
  }

  // Off the way of the pod's start: nobody forwards a port before there is a container.
  void ForwardPorts() {
    RunBlocking<void>(
        Threads{.io = io_, .pool = pool_},
        [machine = machine_, weak = std::weak_ptr(forwarder_)] {
          return machine->ForwardLoopback([weak](uint16_t port, int family, UniqueFd connection) {
            if (const auto forwarder = weak.lock()) {
              forwarder->Accept(port, family, std::move(connection));
            }
          });
        },
        [](const Status& started) {
          if (!started) {
            log::Warning("port-forward will not work", {{"error", started.error()}});
          }
        });
  }

  // containerd waits for `done`, so that the pod is gone when its deletion has ended. Should that
  // take too long, it goes on to `delete`, which ends this process and does the rest.
  void ShutDown(std::function<void()> done) {
    if (std::exchange(shutting_down_, true)) {
      return;
    }
    fill_.cancel();
    // A container of the same name may come next, and gets a shim of its own.
    ::unlink(state_.socket.c_str());
    events_->Flush(kFlushPatience, [this, done = std::move(done)]() mutable {
      RunBlocking<void>(
          Threads{.io = io_, .pool = pool_},
          [this]() -> Status {
            machine_->Release();
            RemoveEverything();
            return {};
          },
          [this, done = std::move(done)](const Status& /*removed*/) {
            if (done) {
              done();
            }
            // A moment for the answer to get out.
            end_.expires_after(kAnswerTime);
            end_.async_wait([this](const boost::system::error_code& /*error*/) {
              server_.Close();
              io_.stop();
            });
          });
    });
  }

  // Also what a shim that was killed would have left to `delete`.
  void RemoveEverything() {
    const HostState all = machine_->host_state();
    HostState left = all;
    left.shim = {};  // not ourselves
    LeaveCgroups(left.cgroups);
    if (const Status removed = RemoveHostState(left); removed) {
      RemoveState(all);
    }
  }

  const CommandLine& line_;
  const std::filesystem::path bundle_;
  const RealClock clock_;
  const RealHostFacts facts_;
  HostState state_;
  std::shared_ptr<VmMachine> machine_;
  asio::io_context io_;
  asio::thread_pool pool_;
  ttrpc::Server server_;
  asio::steady_timer fill_;
  asio::signal_set stop_;
  asio::steady_timer end_;
  std::shared_ptr<Pod> pod_;
  std::shared_ptr<EventPublisher> events_;
  std::shared_ptr<TaskService> service_;
  std::shared_ptr<PortForwarder> forwarder_;
  bool shutting_down_ = false;
};

}  // namespace

Status RunServe(const CommandLine& line) {
  // Small and long-lived: arenas of their own for threads that hardly allocate cost more than they
  // give.
  ::mallopt(M_ARENA_MAX, 1);
  ::fcntl(kListenFd, F_SETFD, FD_CLOEXEC);
  return Serve(line, UniqueFd(kListenFd), nullptr);
}

Status Serve(const CommandLine& line, UniqueFd listening, std::shared_ptr<VmMachine> spare) {
  const std::filesystem::path bundle = std::filesystem::current_path();
  LogToFifo(bundle / "log");
  if (line.debug) {
    log::SetLevel(log::Level::kDebug);
  }
  Shim shim(line, bundle, std::move(spare));
  return shim.Run(std::move(listening));
}

}  // namespace farlet::shim
