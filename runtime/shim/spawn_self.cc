#include "runtime/shim/spawn_self.h"

#include <spawn.h>
#include <unistd.h>

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX leaves it to the program.
extern char** environ;

namespace farlet::shim {

Result<pid_t> SpawnSelf(std::vector<std::string> arguments,
                        const std::vector<Inherited>& descriptors,
                        std::string_view what) {
  std::string name = "containerd-shim-farlet-v2";
  std::vector<char*> words = {name.data()};
  for (std::string& argument : arguments) {
    words.push_back(argument.data());
  }
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const Inherited& descriptor : descriptors) {
    ::posix_spawn_file_actions_adddup2(&actions, descriptor.from, descriptor.to);
  }
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, words.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoError(error, what);
  }
  return pid;
}

}  // namespace farlet::shim
