#include "runtime/guest/cgroup.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/guest/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <functional>
#include <memory>

namespace farlet::guest {
namespace {

constexpr size_t kMaxFile = 1u << 20;
constexpr int kMaxDepth = 64;

std::string OrMax(int64_t value) {
  return value < 0 ? "max" : std::to_string(value);
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  if (text.starts_with("max")) {
    return UINT64_MAX;
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// Calls `visit` for the folder and those below it, the deepest first.
void VisitFolders(const std::string& path,
                  int depth,
                  const std::function<void(const std::string&)>& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (folder != nullptr && depth < kMaxDepth) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and this stream is ours.
    while (const dirent* entry = ::readdir(folder.get())) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
        VisitFolders(path + "/" + static_cast<const char*>(entry->d_name), depth + 1, visit);
      }
    }
  }
  visit(path);
}

}  // namespace

std::optional<uint64_t> FindValue(std::string_view lines, std::string_view key) {
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return ParseNumber(line.substr(key.size() + 1));
    }
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
  return std::nullopt;
}

Status Cgroup::Create(bool parent_of_others) const {
  FARLET_TRY(MakePath(path_));
  if (!parent_of_others) {
    return {};
  }
  // One by one: a controller that is missing must not keep the others away.
  for (const char* controller : {"+cpuset", "+cpu", "+io", "+memory", "+pids"}) {
    if (auto done = WriteKernelFile(File("cgroup.subtree_control"), controller); !done && strict_) {
      log::Warning("a cgroup controller is missing", {{"error", done.error()}});
    }
  }
  return {};
}

Status Cgroup::Remove() const {
  int problem = 0;
  VisitFolders(path_, 0, [&](const std::string& folder) {
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) {
      problem = errno;
    }
  });
  if (problem == 0) {
    return {};
  }
  Error error = ErrnoError(problem, "remove cgroup " + path_);
  return problem == EBUSY ? Unavailable(error.message) : std::move(error);
}

Status Cgroup::Set(std::string_view file, std::string_view value) const {
  if (::access(File(file).c_str(), F_OK) != 0) {
    if (!strict_) {
      return {};
    }
    return MakeError(Code::kUnimplemented, "cgroup: there is no " + std::string(file));
  }
  return WriteKernelFile(File(file), value);
}

Status Cgroup::Apply(const v1::Resources& resources) const {
  if (resources.has_cpu_quota_us() || resources.has_cpu_period_us()) {
    std::string value = resources.has_cpu_quota_us() && resources.cpu_quota_us() > 0
                            ? std::to_string(resources.cpu_quota_us())
                            : "max";
    if (!resources.has_cpu_quota_us()) {
      // Only the period: the quota stays.
      value = Text("cpu.max");
      value = value.empty() ? "max" : value.substr(0, value.find(' '));
    }
    if (resources.cpu_period_us() != 0) {
      value += " " + std::to_string(resources.cpu_period_us());
    }
    FARLET_TRY(Set("cpu.max", value));
  }
  if (resources.has_cpu_weight()) {
    FARLET_TRY(Set("cpu.weight", std::to_string(resources.cpu_weight())));
  }
  if (resources.has_cpuset_cpus()) {
    FARLET_TRY(Set("cpuset.cpus", resources.cpuset_cpus()));
  }
  if (resources.has_cpuset_mems()) {
    FARLET_TRY(Set("cpuset.mems", resources.cpuset_mems()));
  }
  if (resources.has_memory_low()) {
    FARLET_TRY(Set("memory.low", OrMax(resources.memory_low())));
  }
  if (resources.has_memory_high()) {
    FARLET_TRY(Set("memory.high", OrMax(resources.memory_high())));
  }
  if (resources.has_memory_max()) {
    FARLET_TRY(Set("memory.max", OrMax(resources.memory_max())));
  }
  if (resources.has_memory_swap_max()) {
    FARLET_TRY(Set("memory.swap.max", OrMax(resources.memory_swap_max())));
  }
  if (resources.has_pids_max()) {
    FARLET_TRY(Set("pids.max", OrMax(resources.pids_max())));
  }
  for (const auto& [file, value] : resources.unified()) {
    if (file.find('/') != std::string::npos || file.starts_with("cgroup.")) {
      return InvalidArgument("cgroup: \"" + file + "\" is not to be set");
    }
    FARLET_TRY(Set(file, value));
  }
  return {};
}

Result<UniqueFd> Cgroup::OpenFolder() const {
  return Open(path_, O_PATH | O_DIRECTORY);
}

Result<UniqueFd> Cgroup::OpenForAttach() const {
  return Open(path_, O_RDONLY | O_DIRECTORY);
}

Status Cgroup::KillAll() const {
  return WriteKernelFile(File("cgroup.kill"), "1");
}

Status Cgroup::SignalAll(int signal) const {
  if (signal == SIGKILL) {
    return KillAll();
  }
  for (const pid_t pid : Processes(65536)) {
    if (::kill(pid, signal) != 0 && errno != ESRCH) {
      return ErrnoError(errno, "signal process " + std::to_string(pid));
    }
  }
  return {};
}

Status Cgroup::SetFrozen(bool frozen) const {
  return WriteKernelFile(File("cgroup.freeze"), frozen ? "1" : "0");
}

bool Cgroup::Populated() const {
  return Value("cgroup.events", "populated").value_or(0) != 0;
}

bool Cgroup::Frozen() const {
  return Value("cgroup.events", "frozen").value_or(0) != 0;
}

std::vector<pid_t> Cgroup::Processes(size_t max) const {
  std::vector<pid_t> processes;
  VisitFolders(path_, 0, [&](const std::string& folder) {
    const auto text = ReadFile(folder + "/cgroup.procs", kMaxFile);
    if (!text) {
      return;
    }
    std::string_view rest = *text;
    while (!rest.empty() && processes.size() < max) {
      pid_t pid = 0;
      const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), pid);
      if (error != std::errc()) {
        return;
      }
      // 0: in a PID namespace that is out of sight.
      if (pid > 0) {
        processes.push_back(pid);
      }
      rest.remove_prefix(std::min<size_t>(rest.size(), static_cast<size_t>(end - rest.data()) + 1));
    }
  });
  return processes;
}

std::optional<uint64_t> Cgroup::Value(std::string_view file, std::string_view key) const {
  return FindValue(Text(file), key);
}

std::optional<uint64_t> Cgroup::Number(std::string_view file) const {
  return ParseNumber(Text(file));
}

std::string Cgroup::Text(std::string_view file) const {
  auto text = ReadFile(File(file), kMaxFile);
  return text ? *std::move(text) : std::string();
}

}  // namespace farlet::guest
