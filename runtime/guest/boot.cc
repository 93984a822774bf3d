#include "runtime/guest/boot.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/guest/fuse_relay.h"
#include "runtime/guest/prepare.h"
#include "runtime/guest/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

namespace farlet::guest {
namespace {

constexpr std::chrono::seconds kPortTimeout{10};

// pivot_root refuses to leave the initramfs, which has no parent mount. A bind mount of it, moved
// on top of it, looks the same and has one.
Status LeaveInitramfs() {
  FARLET_TRY(MakePath("/mnt"));
  FARLET_TRY(Mount("/", "/mnt", "", MS_BIND));
  if (::chdir("/mnt") != 0 || ::mount(".", "/", "", MS_MOVE, "") != 0 || ::chroot(".") != 0 ||
      ::chdir("/") != 0) {
    return ErrnoError(errno, "move the root away from the initramfs");
  }
  return {};
}

void OpenConsole() {
  for (const char* path : {"/dev/console", "/dev/kmsg", "/dev/null"}) {
    const UniqueFd fd(::open(path, O_RDWR | O_NOCTTY));
    if (fd.valid()) {
      for (int target = 0; target <= 2; ++target) {
        ::dup2(fd.get(), target);
      }
      if (fd.get() <= 2) {
        // Itself one of the three.
        const_cast<UniqueFd&>(fd).Release();
      }
      return;
    }
  }
}

// What containers inherit when their specification says nothing.
void SetLimits() {
  const rlimit files{1048576, 1048576};
  ::setrlimit(RLIMIT_NOFILE, &files);
  const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
  for (const auto resource : {RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_SIGPENDING}) {
    ::setrlimit(resource, &none);
  }
  // Whatever runs out of memory, it is not the agent's turn.
  (void)WriteKernelFile("/proc/self/oom_score_adj", "-1000");
}

constexpr std::array<std::pair<const char*, const char*>, 6> kSettings = {{
    // As a kubelet sets them on a node.
    {"vm.overcommit_memory", "1"},
    {"vm.panic_on_oom", "0"},
    {"kernel.panic_on_oops", "1"},
    {"kernel.panic", "-1"},
    {"net.ipv4.ip_forward", "1"},
    // The host's end of the pod's network has a queue already.
    {"net.core.default_qdisc", "pfifo_fast"},
}};

void SetKernel() {
  for (const auto& [name, value] : kSettings) {
    if (auto set = SetSysctl(name, value); !set) {
      log::Warning("a kernel setting was refused", {{"error", set.error()}});
    }
  }
}

Status LoadModule(const std::string& path) {
  FARLET_ASSIGN(const UniqueFd file, Open(path, O_RDONLY));
  if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "load module " + path);
  }
  return {};
}

// The device of the port, "" while there is none.
std::string FindPort(const std::string& name) {
  const std::string folder = "/sys/class/virtio-ports";
  const std::unique_ptr<DIR, int (*)(DIR*)> ports(::opendir(folder.c_str()), ::closedir);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and this stream is ours.
  while (const dirent* entry = ports ? ::readdir(ports.get()) : nullptr) {
    const std::string device = static_cast<const char*>(entry->d_name);
    const auto text = ReadFile(std::filesystem::path(folder) / device / "name", 256);
    if (text && text->substr(0, text->find('\n')) == name) {
      return "/dev/" + device;
    }
  }
  return {};
}

}  // namespace

Status BootGuest(const Layout& layout) {
  ::umask(0);
  FARLET_TRY(LeaveInitramfs());
  FARLET_TRY(MountOnce("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  FARLET_TRY(MountOnce("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  FARLET_TRY(MountOnce("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"));
  OpenConsole();
  FARLET_TRY(MountOnce("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"));
  FARLET_TRY(MountOnce("cgroup2", layout.cgroup, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  FARLET_TRY(MakePath("/tmp"));
  SetLimits();
  LoadModules("/lib/modules/farlet");
  SetKernel();
  return PrepareMounts(layout);
}

Status PrepareMounts(const Layout& layout) {
  if (::mount("", "/", "", MS_SHARED | MS_REC, "") != 0) {
    return ErrnoError(errno, "share the mounts of /");
  }
  FARLET_TRY(MakePath(layout.Build()));
  FARLET_TRY(Mount("tmpfs", layout.Build(), "tmpfs", 0, "mode=0700,size=64k"));
  return Mount("", layout.Build(), "", MS_PRIVATE);
}

void LoadModules(const std::string& folder) {
  const auto list = ReadFile(folder + "/list", 65536);
  if (!list) {
    log::Warning("no list of modules", {{"error", list.error()}});
    return;
  }
  std::string_view rest = *list;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (name.empty() || name.front() == '#') {
      continue;
    }
    if (auto loaded = LoadModule(folder + "/" + std::string(name)); !loaded) {
      log::Error("a module is missing", {{"error", loaded.error()}});
    }
  }
}

Result<UniqueFd> OpenPort(const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + kPortTimeout;
  while (true) {
    if (const std::string device = FindPort(name); !device.empty()) {
      return Open(device, O_RDWR | O_NONBLOCK);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return NotFound("there is no virtio port \"" + name + "\"");
    }
    // Before anything is served there is nothing else to do.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<pid_t> MountShare(const Layout& layout, UniqueFd port) {
  FARLET_TRY(MakePath(layout.Share()));
  FARLET_ASSIGN(UniqueFd fuse, Open("/dev/fuse", O_RDWR | O_NONBLOCK));
  FARLET_TRY(Mount("share", layout.Share(), "fuse", 0,
                   "fd=" + std::to_string(fuse.get()) +
                       ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"));
  const pid_t pid = ::fork();
  if (pid < 0) {
    return ErrnoError(errno, "start the file relay");
  }
  if (pid == 0) {
    ::prctl(PR_SET_NAME, "files", 0, 0, 0);
    const Status ended = RelayFuse(fuse.get(), port.get());
    log::Error("the file relay ended", {{"error", ended ? "" : ended.error().message}});
    ::_exit(1);
  }
  return pid;
}

}  // namespace farlet::guest
