#include "runtime/shim/file_server_process.h"

#include "runtime/vm/files/file_server.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

namespace farlet::shim {
namespace {

constexpr int kChannelFd = 3;
constexpr int kNamespaceFd = 4;

// dup2 to its own number would keep close-on-exec, and to the other's would lose that: both are
// moved out of the way first.
Result<UniqueFd> CopyAbove(int fd) {
  constexpr int kFirst = 16;
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, kFirst));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate a descriptor");
  }
  return copy;
}

}  // namespace

Result<pid_t> SpawnFileServer(UniqueFd channel, int mount_namespace) {
  FARLET_ASSIGN(const UniqueFd channel_copy, CopyAbove(channel.get()));
  FARLET_ASSIGN(const UniqueFd namespace_copy, CopyAbove(mount_namespace));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, channel_copy.get(), kChannelFd);
  ::posix_spawn_file_actions_adddup2(&actions, namespace_copy.get(), kNamespaceFd);
  std::array words = {std::string("containerd-shim-farlet-v2"), std::string("fileserver")};
  std::array<char*, 3> arguments = {words[0].data(), words[1].data(), nullptr};
  std::array<char*, 1> environment = {nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(),
                                  environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoError(error, "start the file server");
  }
  return pid;
}

void EndFileServer(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

Status RunFileServerCommand() {
  ::fcntl(kChannelFd, F_SETFD, FD_CLOEXEC);
  ::fcntl(kNamespaceFd, F_SETFD, FD_CLOEXEC);
  // The handshake answered FUSE_INIT, in the template or at boot.
  return files::RunFileServer(UniqueFd(kChannelFd), UniqueFd(kNamespaceFd), {.initialized = true});
}

}  // namespace farlet::shim
