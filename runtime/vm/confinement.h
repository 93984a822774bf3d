#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/open_broker.h"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace farlet::vm {

// How QEMU is started and what it can reach then: see README.md for the list.
struct LaunchPlan {
  std::filesystem::path program;
  std::vector<std::string> arguments;
  // (ours, QEMU's): everything else is closed. 0, 1 and 2 are among them.
  std::vector<std::pair<int, int>> descriptors;
  // (on the host, in QEMU's world), read-only. The program and its libraries are there anyway.
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> files;
  std::vector<std::filesystem::path> cgroup_procs;
  // An existing folder over which QEMU's root is mounted, in its own mount namespace only.
  std::filesystem::path root;
  uid_t user = 0;
  MemoryFile memory = MemoryFile::kShared;
};

// The plan as a child process can carry it out: between clone and exec of a program with threads,
// nothing may allocate memory or take a lock.
class ChildProgram {
 public:
  // Opens what has to be opened and looks at how the host lays out its libraries.
  static Result<ChildProgram> Prepare(LaunchPlan plan);

  ChildProgram(ChildProgram&&) = default;
  ChildProgram& operator=(ChildProgram&&) = default;

  // In the child; does not return. Tells over `control` (a socket): first the seccomp listener as a
  // passed descriptor; a ChildFailure if anything fails; nothing more if exec succeeds.
  // `parent` is a pidfd: a child whose parent died meanwhile ends by itself.
  [[noreturn]] void Run(int control, int parent) const;

 private:
  struct Step {
    enum class Kind { kFolder, kEmptyFile, kSymlink, kBind };

    Kind kind;
    std::string target;  // relative to the root
    std::string source;  // of a link or a bind
  };

  ChildProgram() = default;

  Status PlanRoot();
  void PlanBind(const std::filesystem::path& source, const std::filesystem::path& target);

  void EnterCgroups() const;
  void EnterRoot() const;
  void DoStep(const Step& step) const;
  void PlaceDescriptors() const;
  void DropPrivileges() const;

  LaunchPlan plan_;
  std::vector<UniqueFd> cgroups_;
  std::vector<Step> steps_;
  // Elements of a vector stay where they are when it is moved.
  std::vector<std::string> words_;
  std::vector<char*> argv_;  // points into words_, which is not changed any more
};

// What the child could not do.
struct ChildFailure {
  int error = 0;
  char what[60] = {};
};

}  // namespace farlet::vm
