#include "runtime/guest/prepare.h"

#include "runtime/base/file.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/network.h"
#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

namespace farlet::guest {
namespace {

constexpr uint64_t kDefaultShmBytes = 64u << 20;

// A clone has its template's generator: what comes out of it until here is known to every clone.
Status Reseed(const std::string& seed) {
  FARLET_ASSIGN(const UniqueFd random, Open("/dev/urandom", O_WRONLY));
  alignas(rand_pool_info) std::array<char, sizeof(rand_pool_info) + 512> buffer{};
  const size_t size = std::min<size_t>(seed.size(), 512);
  rand_pool_info info{};
  info.entropy_count = static_cast<int>(size * 8);
  info.buf_size = static_cast<int>(size);
  std::memcpy(buffer.data(), &info, sizeof info);
  std::memcpy(buffer.data() + sizeof info, seed.data(), size);
  if (::ioctl(random.get(), RNDADDENTROPY, buffer.data()) != 0 ||
      ::ioctl(random.get(), RNDRESEEDCRNG, 0) != 0) {
    return ErrnoError(errno, "seed the random generator");
  }
  return {};
}

Status SetClock(int64_t wall_time_ns) {
  constexpr int64_t second = 1000000000;
  const timespec time{.tv_sec = wall_time_ns / second, .tv_nsec = wall_time_ns % second};
  if (wall_time_ns < 0 || ::clock_settime(CLOCK_REALTIME, &time) != 0) {
    return ErrnoError(wall_time_ns < 0 ? EINVAL : errno, "set the clock");
  }
  return {};
}

// Caps over all containers together.
v1::Resources PodResources(const v1::PrepareRequest& request) {
  v1::Resources resources;
  if (request.memory_limit_bytes() != 0) {
    resources.set_memory_max(static_cast<int64_t>(request.memory_limit_bytes()));
  }
  if (request.cpu_quota_us() != 0) {
    resources.set_cpu_quota_us(static_cast<int64_t>(request.cpu_quota_us()));
    resources.set_cpu_period_us(request.cpu_period_us() != 0 ? request.cpu_period_us() : 100000);
  }
  if (request.pids_limit() != 0) {
    resources.set_pids_max(static_cast<int64_t>(request.pids_limit()));
  }
  return resources;
}

}  // namespace

Status SetIdentity(const v1::PrepareRequest& request, const Layout& layout) {
  if (layout.inside_vm && !request.seed().empty()) {
    FARLET_TRY(Reseed(request.seed()));
  }
  if (layout.inside_vm && request.wall_time_ns() != 0) {
    FARLET_TRY(SetClock(request.wall_time_ns()));
  }
  const std::string& name = request.hostname();
  if (!name.empty() && ::sethostname(name.c_str(), name.size()) != 0) {
    return ErrnoError(errno, "set hostname " + name);
  }
  if (layout.inside_vm && !request.machine_id().empty()) {
    FARLET_TRY(MakePath("/etc"));
    FARLET_TRY(WriteFileAtomic("/etc/machine-id", request.machine_id() + "\n", 0444));
  }
  return {};
}

Status SetSysctl(const std::string& name, const std::string& value) {
  std::string path = name;
  // With a slash in it dots are part of names, as those of interfaces.
  if (path.find('/') == std::string::npos) {
    std::replace(path.begin(), path.end(), '.', '/');
  }
  return Annotate(WriteText("/proc/sys/" + path, value), "sysctl " + name);
}

Status MountStorage(const v1::PrepareRequest& request, const Layout& layout) {
  FARLET_TRY(MakePath(layout.Disk()));
  if (request.writable_device().empty()) {
    FARLET_TRY(Mount("tmpfs", layout.Disk(), "tmpfs", 0, "mode=0755"));
  } else {
    const std::string device = "/dev/" + request.writable_device();
    ForgetCached(device);
    FARLET_TRY(Annotate(Mount(device, layout.Disk(), "ext4", MS_NOATIME), device));
  }
  for (const char* folder : {"/c", "/e", "/trash"}) {
    FARLET_TRY(MakePath(layout.Disk() + folder));
  }
  FARLET_TRY(MakePath(layout.Shm()));
  const uint64_t size = request.shm_bytes() != 0 ? request.shm_bytes() : kDefaultShmBytes;
  return Mount("tmpfs", layout.Shm(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
               "mode=1777,size=" + std::to_string(size));
}

Status Agent::MakeEmptyDir(const v1::EmptyDir& dir) const {
  const std::string path =
      dir.memory() ? layout_.MemoryDir(dir.name()) : layout_.DiskDir(dir.name());

  struct stat info {};

  if (::stat(path.c_str(), &info) == 0) {
    return {};
  }
  FARLET_TRY(MakePath(path));
  const mode_t mode = dir.mode() == 0 ? 0777 : dir.mode();
  if (dir.memory()) {
    const std::string size =
        dir.size_bytes() == 0 ? "" : "size=" + std::to_string(dir.size_bytes());
    FARLET_TRY(Mount("tmpfs", path, "tmpfs", 0, size));
  }
  if (::chown(path.c_str(), dir.uid(), dir.gid()) != 0 || ::chmod(path.c_str(), mode) != 0) {
    return ErrnoError(errno, "set owner and mode of " + path);
  }
  return {};
}

Result<v1::PrepareResponse> Agent::Prepare(const v1::PrepareRequest& request) {
  FARLET_TRY(CheckPrepare(request));
  if (prepared_) {
    return MakeError(Code::kFailedPrecondition, "the guest has been prepared already");
  }
  // Before anything else happens: what follows may use randomness and time.
  FARLET_TRY(SetIdentity(request, layout_));
  FARLET_TRY(SetUpNetwork(request));
  for (const auto& [name, value] : request.sysctls()) {
    FARLET_TRY(SetSysctl(name, value));
  }
  FARLET_TRY(MountStorage(request, layout_));
  for (const v1::EmptyDir& dir : request.empty_dirs()) {
    FARLET_TRY(Annotate(MakeEmptyDir(dir), "emptyDir " + dir.name()));
  }
  FARLET_TRY(Cgroup(layout_.cgroup, layout_.inside_vm).Create(true));
  FARLET_TRY(pod_.Create(true));
  FARLET_TRY(pod_.Apply(PodResources(request)));
  prepared_ = true;
  return v1::PrepareResponse();
}

}  // namespace farlet::guest
