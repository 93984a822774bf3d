#include "runtime/guest/prepare.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
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
#include <chrono>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

namespace farlet::guest {
namespace {

constexpr uint64_t kDefaultShmBytes = 64u << 20;
// The disk is new and empty: a thread of the kernel's that looks through it would find nothing.
// What is deleted goes back to the host.
constexpr const char* kDiskOptions = "discard,noinit_itable,no_prefetch_block_bitmaps";
constexpr unsigned long kShmFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

std::string ShmOptions(uint64_t bytes) {
  return "mode=1777,size=" + std::to_string(bytes);
}

Error AlreadyPrepared() {
  return MakeError(Code::kFailedPrecondition, "the guest has been prepared already");
}

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
  constexpr int64_t kSecond = 1000000000;
  const timespec time{.tv_sec = wall_time_ns / kSecond, .tv_nsec = wall_time_ns % kSecond};
  if (wall_time_ns < 0 || ::clock_settime(CLOCK_REALTIME, &time) != 0) {
    return ErrnoError(wall_time_ns < 0 ? EINVAL : errno, "set the clock");
  }
  return {};
}

// For the clock that the kernel wants to keep: it takes a second to decide, and then rewrites
// itself.
void AwaitClock() {
  constexpr std::chrono::milliseconds kInterval{20};
  constexpr int kTries = 150;
  for (int i = 0; i < kTries; ++i) {
    const auto clock =
        ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource", 64);
    if (!clock || (!clock->starts_with("tsc-early") && !clock->ends_with("jiffies\n"))) {
      return;
    }
    std::this_thread::sleep_for(kInterval);
  }
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
    FARLET_ASSIGN(const UniqueFd file, Open("/etc/machine-id", O_WRONLY | O_CREAT | O_TRUNC, 0444));
    const std::string id = request.machine_id() + "\n";
    if (::write(file.get(), id.data(), id.size()) != static_cast<ssize_t>(id.size())) {
      return ErrnoError(errno, "write the machine's id");
    }
  }
  return {};
}

Status SetSysctl(const std::string& name, const std::string& value) {
  std::string path = name;
  // With a slash in it dots are part of names, as those of interfaces.
  if (path.find('/') == std::string::npos) {
    std::replace(path.begin(), path.end(), '.', '/');
  }
  return Annotate(WriteKernelFile("/proc/sys/" + path, value), "sysctl " + name);
}

Status Agent::MountDisk(const std::string& name) {
  FARLET_TRY(MakePath(layout_.Disk()));
  if (name.empty()) {
    FARLET_TRY(Mount("tmpfs", layout_.Disk(), "tmpfs", 0, "mode=0755"));
  } else {
    const std::string device = "/dev/" + name;
    ForgetCached(device);
    FARLET_TRY(Annotate(Mount(device, layout_.Disk(), "ext4", MS_NOATIME, kDiskOptions), device));
  }
  for (const char* folder : {"/c", "/e", "/trash"}) {
    FARLET_TRY(MakePath(layout_.Disk() + folder));
  }
  disk_mounted_ = true;
  return {};
}

Status Agent::Furnish() {
  if (furnished_) {
    return {};
  }
  FARLET_TRY(SetUpLoopback());
  FARLET_TRY(MakePath(layout_.Shm()));
  FARLET_TRY(Mount("tmpfs", layout_.Shm(), "tmpfs", kShmFlags, ShmOptions(kDefaultShmBytes)));
  FARLET_TRY(Cgroup(layout_.cgroup, layout_.inside_vm).Create(true));
  FARLET_TRY(pod_.Create(true));
  if (auto loaded = device_filters_.Preload(); !loaded) {
    log::Warning("no device filter ahead of containers", {{"error", loaded.error()}});
  }
  furnished_ = true;
  return {};
}

Result<v1::FurnishResponse> Agent::Furnish(const v1::FurnishRequest& request) {
  FARLET_TRY(CheckFurnish(request));
  if (prepared_) {
    return AlreadyPrepared();
  }
  FARLET_TRY(Furnish());
  if (!disk_mounted_ && !request.writable_device().empty()) {
    FARLET_TRY(MountDisk(request.writable_device()));
    // A copy of the disk has to hold all of it.
    FARLET_ASSIGN(const UniqueFd disk, Open(layout_.Disk(), O_RDONLY | O_DIRECTORY));
    if (::syncfs(disk.get()) != 0) {
      return ErrnoError(errno, "write out the writable disk");
    }
  }
  if (request.settle()) {
    AwaitClock();
  }
  return v1::FurnishResponse();
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
    return AlreadyPrepared();
  }
  // Before anything else happens: what follows may use randomness and time.
  FARLET_TRY(SetIdentity(request, layout_));
  FARLET_TRY(Furnish());
  FARLET_TRY(SetUpNetwork(request));
  for (const auto& [name, value] : request.sysctls()) {
    FARLET_TRY(SetSysctl(name, value));
  }
  if (!disk_mounted_) {
    FARLET_TRY(MountDisk(request.writable_device()));
  }
  if (request.shm_bytes() != 0) {
    FARLET_TRY(Mount("tmpfs", layout_.Shm(), "tmpfs", kShmFlags | MS_REMOUNT,
                     ShmOptions(request.shm_bytes())));
  }
  for (const v1::EmptyDir& dir : request.empty_dirs()) {
    FARLET_TRY(Annotate(MakeEmptyDir(dir), "emptyDir " + dir.name()));
  }
  FARLET_TRY(pod_.Apply(PodResources(request)));
  prepared_ = true;
  if (request.rehearsal()) {
    rehearsal_ = request;
  }
  return v1::PrepareResponse();
}

Result<v1::EndRehearsalResponse> Agent::EndRehearsal(const v1::EndRehearsalRequest& /*request*/) {
  if (!rehearsal_ || !containers_.empty()) {
    return MakeError(Code::kFailedPrecondition, rehearsal_
                                                    ? "end the rehearsal: there are containers"
                                                    : "nothing is rehearsed");
  }
  FARLET_TRY(TakeDownNetwork(*rehearsal_));
  volumes_.Clear();
  // Limits, and the time and memory that were used: the pod starts with none.
  FARLET_TRY(pod_.Remove());
  FARLET_TRY(pod_.Create(true));
  rehearsal_.reset();
  prepared_ = false;
  return v1::EndRehearsalResponse();
}

}  // namespace farlet::guest
