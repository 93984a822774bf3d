#include "runtime/vm/files/file_server.h"

#include "runtime/vm/files/confine.h"
#include "runtime/vm/files/message_stream.h"
#include "runtime/vm/files/session.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

namespace farlet::files {
namespace {

// The channel, standard streams, /proc and what the C library opens.
constexpr uint32_t kOtherDescriptors = 64;

// A mount of its own for /proc/self/fd: from an ordinary descriptor of it, ".." leads into the
// host's /proc.
Result<UniqueFd> OpenProcFds() {
  UniqueFd fds(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, "/proc/self/fd", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!fds.valid()) {
    return ErrnoError(errno, "file server: open /proc/self/fd");
  }
  return fds;
}

Result<Session::Roots> EnterTree(UniqueFd mount_namespace) {
  Session::Roots roots;
  FARLET_ASSIGN(roots.proc_fds, OpenProcFds());
  if (::setns(mount_namespace.get(), CLONE_NEWNS) != 0) {
    return ErrnoError(errno, "file server: enter mount namespace");
  }
  roots.tree = UniqueFd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!roots.tree.valid()) {
    return ErrnoError(errno, "file server: open root");
  }
  return roots;
}

Status Confine(int channel, const Session::Roots& roots) {
  FARLET_TRY(CloseOthers({channel, roots.tree.get(), roots.proc_fds.get()}));
  FARLET_TRY(KeepCapabilities());
  FARLET_TRY(DropCapabilities());
  return FilterSystemCalls();
}

Status Serve(int channel, Session& session) {
  MessageStream stream(channel);
  while (!session.destroyed()) {
    FARLET_ASSIGN(const Bytes message, stream.Next());
    if (message.empty()) {
      return {};
    }
    const Bytes answer = session.Handle(message);
    if (!answer.empty()) {
      const Status sent = stream.Send(answer);
      if (!sent) {
        return sent.error().code == Code::kUnavailable ? Status() : sent;
      }
    }
  }
  return {};
}

}  // namespace

Status RunFileServer(UniqueFd channel, UniqueFd mount_namespace, const FileServerOptions& options) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    return ErrnoError(errno, "file server: set parent death signal");
  }
  ::umask(0);
  RaiseFileLimit(uint64_t{options.max_node_fds} + options.max_handles + kOtherDescriptors);
  FARLET_ASSIGN(Session::Roots roots, EnterTree(std::move(mount_namespace)));
  if (options.confine) {
    FARLET_TRY(Annotate(Confine(channel.get(), roots), "file server"));
  } else {
    FARLET_TRY(KeepCapabilities());
  }
  FARLET_ASSIGN(const std::unique_ptr<Session> session, Session::Create(std::move(roots), options));
  return Serve(channel.get(), *session);
}

}  // namespace farlet::files
