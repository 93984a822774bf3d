#include "runtime/guest/process_plan.h"

#include "proto/guest/v1/guest.pb.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

namespace farlet::guest {
namespace {

Error CannotStart(const std::string& name, const std::string& why) {
  return MakeError(Code::kUnknown,
                   "unable to start container process: exec: \"" + name + "\": " + why);
}

// 0 or the errno that keeps `path` from being executed.
int CheckExecutable(const std::string& path) {
  struct stat info {};

  if (::stat(path.c_str(), &info) != 0) {
    return errno;
  }
  if (S_ISDIR(info.st_mode)) {
    return EISDIR;
  }
  return ::access(path.c_str(), X_OK) == 0 ? 0 : errno;
}

// The first part of `text` up to `separator`, which is taken off it.
std::string_view Take(std::string_view& text, char separator) {
  const size_t end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

}  // namespace

Result<ProcessPlan> MakeProcessPlan(const v1::Process& process,
                                    std::shared_ptr<const SeccompFilter> seccomp) {
  ProcessPlan plan;
  plan.args.assign(process.args().begin(), process.args().end());
  plan.env.assign(process.env().begin(), process.env().end());
  plan.cwd = process.cwd().empty() ? "/" : process.cwd();
  plan.terminal = process.terminal();
  plan.rows = static_cast<unsigned short>(process.console_size().rows());
  plan.columns = static_cast<unsigned short>(process.console_size().columns());
  plan.uid = process.user().uid();
  plan.gid = process.user().gid();
  plan.groups.assign(process.user().additional_gids().begin(),
                     process.user().additional_gids().end());
  plan.umask = process.user().has_umask() ? process.user().umask() & 0777 : 022;
  FARLET_ASSIGN(plan.capabilities, ParseCapabilities(process.capabilities()));
  FARLET_ASSIGN(plan.rlimits, ParseRlimits(process.rlimits()));
  plan.no_new_privileges = process.no_new_privileges();
  plan.oom_score_adj = process.oom_score_adj();
  plan.seccomp = std::move(seccomp);
  if (plan.terminal && !FindEnv(plan.env, "TERM")) {
    plan.env.emplace_back("TERM=xterm");
  }
  return plan;
}

std::optional<std::string> FindEnv(const std::vector<std::string>& env, std::string_view name) {
  for (auto line = env.rbegin(); line != env.rend(); ++line) {
    if (line->size() > name.size() && line->starts_with(name) && (*line)[name.size()] == '=') {
      return line->substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

Result<std::string> FindExecutable(const std::string& name, const std::string& path) {
  if (name.find('/') != std::string::npos) {
    const int problem = CheckExecutable(name);
    if (problem == 0) {
      return name;
    }
    if (problem == EISDIR) {
      return CannotStart(name, "is a directory");
    }
    // Go's spelling of the same, without the capital letter.
    std::string text = problem == ENOENT   ? "no such file or directory"
                       : problem == EACCES ? "permission denied"
                                           : std::generic_category().message(problem);
    return CannotStart(name, problem == EACCES ? text : "stat " + name + ": " + text);
  }
  std::string_view rest = path;
  while (!name.empty() && !rest.empty()) {
    const std::string_view folder = Take(rest, ':');
    std::string candidate = (folder.empty() ? "." : std::string(folder)) + "/" + name;
    if (CheckExecutable(candidate) == 0) {
      return candidate;
    }
  }
  return CannotStart(name, "executable file not found in $PATH");
}

std::string HomeFolder(std::string_view passwd, uid_t uid) {
  while (!passwd.empty()) {
    std::string_view line = Take(passwd, '\n');
    Take(line, ':');
    Take(line, ':');
    const std::string_view number = Take(line, ':');
    Take(line, ':');
    Take(line, ':');
    const std::string_view home = Take(line, ':');
    uid_t value = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error == std::errc() && end == number.data() + number.size() && value == uid) {
      return home.empty() ? "/" : std::string(home);
    }
  }
  return "/";
}

}  // namespace farlet::guest
