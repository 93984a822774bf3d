#include "runtime/shim/cgroup.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

constexpr int kRemoveTries = 40;
constexpr std::chrono::milliseconds kRemovePause{25};

bool IsType(const path& folder, long magic) {
  struct statfs info {};

  return ::statfs(folder.c_str(), &info) == 0 && static_cast<long>(info.f_type) == magic;
}

Status WriteProcs(const path& folder, pid_t pid) {
  return WriteKernelFile(folder / "cgroup.procs", std::to_string(pid));
}

// v2: a group has the limits of a controller once all above it hand that down. One at a time, since
// a host may lack one; nothing to do in v1.
void EnableControllers(const path& folder) {
  constexpr const char* kFile = "cgroup.subtree_control";
  std::vector<path> above;
  std::error_code ignored;
  for (path parent = folder.parent_path(); std::filesystem::exists(parent / kFile, ignored);
       parent = parent.parent_path()) {
    above.push_back(parent);
  }
  std::reverse(above.begin(), above.end());
  for (const path& parent : above) {
    for (const char* controller : {"+cpu", "+memory", "+pids"}) {
      if (const Status enabled = WriteKernelFile(parent / kFile, controller); !enabled) {
        log::Debug("enable a cgroup controller", {{"error", enabled.error()}});
      }
    }
  }
}

// "a-b.slice" lies in "a.slice".
path ExpandSlice(const std::string& slice) {
  constexpr std::string_view kSuffix = ".slice";
  path expanded = "/";
  if (!slice.ends_with(kSuffix) || slice == "-.slice") {
    return slice == "-.slice" ? expanded : expanded / slice;
  }
  const std::string name = slice.substr(0, slice.size() - kSuffix.size());
  for (size_t dash = name.find('-'); dash != std::string::npos; dash = name.find('-', dash + 1)) {
    expanded /= name.substr(0, dash) + std::string(kSuffix);
  }
  return expanded / slice;
}

bool IsGone(const path& folder) {
  return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

bool IsUnifiedCgroup(const path& root) {
  return IsType(root, CGROUP2_SUPER_MAGIC);
}

Result<path> CgroupPath(std::string_view cgroups_path) {
  const std::string text(cgroups_path);
  path result;
  const size_t first = text.find(':');
  if (first != std::string::npos && text.find('/') == std::string::npos) {
    const size_t second = text.find(':', first + 1);
    if (second == std::string::npos) {
      return InvalidArgument(fmt::format("cgroupsPath \"{}\": not slice:prefix:name", text));
    }
    const std::string slice = first == 0 ? "system.slice" : text.substr(0, first);
    result =
        ExpandSlice(slice) / fmt::format("{}-{}.scope", text.substr(first + 1, second - first - 1),
                                         text.substr(second + 1));
  } else {
    result = path("/" + text).lexically_normal();
  }
  if (std::find(result.begin(), result.end(), "..") != result.end() || result == "/") {
    return InvalidArgument(fmt::format("cgroupsPath \"{}\": not below the root", text));
  }
  return result;
}

std::vector<path> CgroupFolders(const path& below, const path& root) {
  const path relative = below.relative_path();
  if (IsUnifiedCgroup(root)) {
    return {root / relative};
  }
  std::vector<path> folders;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(root, ignored)) {
    const std::string name = entry.path().filename().string();
    // Links name the same hierarchies once more; systemd's own and v2's beside v1 limit nothing.
    if (!entry.is_symlink(ignored) && name != "cpuset" && name != "systemd" && name != "unified" &&
        IsType(entry.path(), CGROUP_SUPER_MAGIC)) {
      folders.push_back(entry.path() / relative);
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<path> EnterCgroup(const std::vector<path>& folders, pid_t pid) {
  constexpr mode_t kFolderMode = 0755;
  std::vector<path> entered;
  for (const path& folder : folders) {
    Status done = MakeDirectories(folder, kFolderMode);
    if (done) {
      EnableControllers(folder);
      done = WriteProcs(folder, pid);
    }
    if (done) {
      entered.push_back(folder);
      continue;
    }
    ::rmdir(folder.c_str());
    log::Warning("a cgroup does not take the pod's processes", {{"error", done.error()}});
  }
  return entered;
}

void LimitCgroups(const std::vector<path>& folders, const HostLimits& limits) {
  constexpr uint64_t kPeriod = 100'000;  // the kernel's default, in microseconds
  const std::string memory = std::to_string(limits.memory_bytes);
  const std::string quota = std::to_string(limits.milli_cpus * kPeriod / 1000);
  const std::array<std::pair<const char*, std::string>, 5> files{{
      {"memory.max", memory},
      {"memory.limit_in_bytes", memory},
      {"cpu.max", fmt::format("{} {}", quota, kPeriod)},
      {"cpu.cfs_quota_us", quota},
      {"pids.max", std::to_string(limits.tasks)},
  }};
  for (const path& folder : folders) {
    for (const auto& [name, text] : files) {
      std::error_code ignored;
      if (!std::filesystem::exists(folder / name, ignored)) {
        continue;  // of the other version, or of another hierarchy
      }
      if (const Status written = WriteKernelFile(folder / name, text); !written) {
        log::Warning("a limit of the pod's cgroup is not set", {{"error", written.error()}});
      }
    }
  }
}

bool LeaveCgroups(const std::vector<path>& folders, const path& root) {
  bool all_left = true;
  for (const path& folder : folders) {
    const path relative = folder.lexically_relative(root);
    const path hierarchy = IsUnifiedCgroup(root) ? root : root / *relative.begin();
    if (const Status left = WriteProcs(hierarchy, ::getpid()); !left) {
      log::Debug("leave a cgroup", {{"error", left.error()}});
      all_left = false;
    }
  }
  return all_left;
}

void RemoveCgroups(const std::vector<path>& folders) {
  for (const path& folder : folders) {
    int tries = kRemoveTries;
    while (!IsGone(folder) && errno == EBUSY && --tries > 0) {
      std::this_thread::sleep_for(kRemovePause);
    }
    if (tries == 0) {
      log::Warning("a cgroup stays", {{"path", folder.string()}});
    }
  }
}

}  // namespace farlet::shim
