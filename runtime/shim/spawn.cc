#include "runtime/shim/spawn.h"

#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <utility>

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX leaves it to the program.
extern char** environ;

namespace farlet::shim {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> WithOurs(std::vector<std::string> environment) {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  return environment;
}

}  // namespace

Result<pid_t> Spawn(Program program,
                    const std::vector<Inherited>& descriptors,
                    std::string_view what) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const Inherited& descriptor : descriptors) {
    ::posix_spawn_file_actions_adddup2(&actions, descriptor.from, descriptor.to);
  }
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t all;
  sigset_t none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> environment = WithOurs(std::move(program.environment));
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.path.c_str(), &actions, &attributes,
                                  Pointers(program.words).data(), Pointers(environment).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoError(error, what);
  }
  return pid;
}

Result<pid_t> SpawnSelf(std::vector<std::string> arguments,
                        const std::vector<Inherited>& descriptors,
                        std::string_view what) {
  arguments.insert(arguments.begin(), "containerd-shim-farlet-v2");
  return Spawn({.path = "/proc/self/exe", .words = std::move(arguments)}, descriptors, what);
}

}  // namespace farlet::shim
