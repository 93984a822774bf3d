#include "runtime/shim/spawn.h"

#include "runtime/base/c_strings.h"
#include "runtime/base/fd.h"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <utility>

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX leaves it to the program.
extern char** environ;

namespace farlet::shim {
namespace {

// Copies above all numbers of the new process, so that none is overwritten before it is in place.
Result<std::vector<UniqueFd>> OutOfTheWay(const std::vector<Inherited>& descriptors) {
  int above = 0;
  for (const Inherited& descriptor : descriptors) {
    above = std::max(above, descriptor.to + 1);
  }
  std::vector<UniqueFd> copies;
  for (const Inherited& descriptor : descriptors) {
    UniqueFd copy(::fcntl(descriptor.from, F_DUPFD_CLOEXEC, above));
    if (!copy.valid()) {
      return ErrnoError(errno, "copy a descriptor");
    }
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

std::vector<std::string> OwnEnvironment() {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  return environment;
}

Result<pid_t> Spawn(Program program,
                    const std::vector<Inherited>& descriptors,
                    std::string_view what) {
  FARLET_ASSIGN(const std::vector<UniqueFd> sources, Annotate(OutOfTheWay(descriptors), what));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (size_t i = 0; i < descriptors.size(); ++i) {
    ::posix_spawn_file_actions_adddup2(&actions, sources[i].get(), descriptors[i].to);
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
  std::vector<std::string> environment = std::move(program.environment);
  std::ranges::move(OwnEnvironment(), std::back_inserter(environment));
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, program.path.c_str(), &actions, &attributes,
                                  CStrings(program.words).data(), CStrings(environment).data());
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
