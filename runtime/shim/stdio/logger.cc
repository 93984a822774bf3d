#include "runtime/shim/stdio/logger.h"

#include "runtime/base/log.h"
#include "runtime/base/pipe.h"
#include "runtime/shim/spawn.h"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace {

namespace asio = boost::asio;

constexpr int kOut = 3;
constexpr int kErr = 4;
constexpr int kReady = 5;

// Waits for the process, so that none stays a zombie, and keeps what it says of its readiness.
class Reaper : public std::enable_shared_from_this<Reaper> {
 public:
  Reaper(asio::io_context& io, pid_t pid, UniqueFd process, UniqueFd ready)
      : pid_(pid), ready_(std::move(ready)), ended_(io, process.Release()) {}

  void Start() {
    ended_.async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this()](const boost::system::error_code& error) {
          int status = 0;
          if (error || ::waitpid(self->pid_, &status, 0) != self->pid_) {
            return;
          }
          if (status != 0) {
            log::Warning("a logger has failed", {{"pid", self->pid_}, {"status", status}});
          }
        });
  }

 private:
  const pid_t pid_;
  const UniqueFd ready_;
  asio::posix::stream_descriptor ended_;
};

}  // namespace

Result<OutputSinks> StartLogger(asio::io_context& io,
                                const StreamTarget& target,
                                const StdioNames& names) {
  FARLET_ASSIGN(Pipe out, MakePipe());
  FARLET_ASSIGN(Pipe err, MakePipe());
  FARLET_ASSIGN(Pipe ready, MakePipe());
  Program program{.path = target.path.string(),
                  .words = target.arguments,
                  .environment = {"CONTAINER_ID=" + names.id,
                                  "CONTAINER_NAMESPACE=" + names.containerd_namespace}};
  program.words.insert(program.words.begin(), program.path);
  FARLET_ASSIGN(const pid_t pid, Spawn(std::move(program),
                                       {{.from = out.read.get(), .to = kOut},
                                        {.from = err.read.get(), .to = kErr},
                                        {.from = ready.write.get(), .to = kReady}},
                                       "start the logger " + target.path.string()));
  UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) {
    return ErrnoError(errno, "watch the logger " + target.path.string());
  }
  std::make_shared<Reaper>(io, pid, std::move(process), std::move(ready.read))->Start();
  OutputSinks sinks;
  FARLET_ASSIGN(sinks.out, MakePipeSink(io, std::move(out.write)));
  FARLET_ASSIGN(sinks.err, MakePipeSink(io, std::move(err.write)));
  return sinks;
}

}  // namespace farlet::shim
