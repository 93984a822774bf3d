#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/capabilities.h"
#include "runtime/guest/rlimits.h"
#include "runtime/guest/seccomp.h"

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::guest {

namespace v1 {
class Process;
}

// What the child needs to become a process of a container, parsed before it is born.
struct ProcessPlan {
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd;
  bool terminal = false;
  unsigned short rows = 0;
  unsigned short columns = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  mode_t umask = 022;
  CapabilitySets capabilities;
  std::vector<ResourceLimit> rlimits;
  bool no_new_privileges = false;
  int oom_score_adj = 0;
  std::shared_ptr<const SeccompFilter> seccomp;
};

// Errors: kInvalidArgument. The message has been checked by CheckProcess.
Result<ProcessPlan> MakeProcessPlan(const v1::Process& process,
                                    std::shared_ptr<const SeccompFilter> seccomp);

// The value of NAME in "NAME=value" lines, the last one as in execve(2)'s receivers.
std::optional<std::string> FindEnv(const std::vector<std::string>& env, std::string_view name);

// Where exec finds `name`: itself when it has a slash, else the first executable file in `path`.
// Run inside the container and as its user. Errors: kUnknown, worded as runc does.
Result<std::string> FindExecutable(const std::string& name, const std::string& path);

// The home folder of `uid` by an /etc/passwd's content; "/" when it names none.
std::string HomeFolder(std::string_view passwd, uid_t uid);

}  // namespace farlet::guest
