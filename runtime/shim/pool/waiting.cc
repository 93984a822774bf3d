#include "runtime/shim/pool/waiting.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/shim/process_id.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/state_file.h"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <string_view>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

constexpr std::string_view kStateSuffix = ".json";
constexpr size_t kMaxConfig = 64u << 10;
constexpr size_t kHashDigits = 12;  // a socket's path is short

Result<std::string> FileIdentity(const path& file) {
  struct stat info {};

  if (::stat(file.c_str(), &info) != 0) {
    return ErrnoError(errno, "look at " + file.string());
  }
  return fmt::format("{} {} {} {} {}.{:09}\n", file.string(), info.st_dev, info.st_ino,
                     info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

Result<path> LinkTarget(const char* link) {
  std::error_code error;
  path target = std::filesystem::read_symlink(link, error);
  if (error) {
    return ErrnoError(error.value(), std::string("read ") + link);
  }
  return target;
}

// "512-1-4711": MiB, vCPUs, process.
std::optional<vm::MachineSize> SizeIn(std::string_view name) {
  vm::MachineSize size;
  const char* const end = name.data() + name.size();
  auto parsed = std::from_chars(name.data(), end, size.memory_mib);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '-') {
    return std::nullopt;
  }
  parsed = std::from_chars(parsed.ptr + 1, end, size.vcpus);
  if (parsed.ec != std::errc() || parsed.ptr == end || *parsed.ptr != '-') {
    return std::nullopt;
  }
  return size;
}

// Killed before a pod had it. One that got a pod leaves an entry for a moment: its shim lives.
void RemoveIfDead(const path& socket) {
  const Result<HostState> state = ReadState(socket);
  if (state && state->socket == socket && !IsAlive(state->shim) && RemoveHostState(*state)) {
    RemoveState(*state);
  }
}

}  // namespace

Result<path> PoolFolder(const path& config_path, const std::string& containerd_address) {
  FARLET_ASSIGN(const vm::HostConfig config, vm::LoadHostConfig(config_path));
  std::string identity = containerd_address + "\n" + config_path.string() + "\n";
  // Only the default one may be missing.
  identity += ReadFile(config_path, kMaxConfig).value_or("") + "\n";
  FARLET_ASSIGN(const path executable, LinkTarget("/proc/self/exe"));
  for (const path& file : {executable, config.qemu, config.kernel, config.initramfs}) {
    FARLET_ASSIGN(const std::string of_file, FileIdentity(file));
    identity += of_file;
  }
  for (const char* name : {"/proc/self/ns/mnt", "/proc/self/ns/net"}) {
    FARLET_ASSIGN(const path of_namespace, LinkTarget(name));
    identity += of_namespace.string() + "\n";
  }
  return config.run_dir / "pool" / Sha256Hex(identity).substr(0, kHashDigits);
}

path SpareSocket(const path& folder, vm::MachineSize size, pid_t pid) {
  return folder / fmt::format("{}-{}-{}", size.memory_mib, size.vcpus, pid);
}

std::vector<WaitingSpare> SparesIn(const path& folder) {
  std::vector<std::pair<timespec, WaitingSpare>> found;
  std::error_code error;
  std::filesystem::directory_iterator entry(folder, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename();

    struct stat info {};

    if (!name.ends_with(kStateSuffix) || ::stat(entry->path().c_str(), &info) != 0) {
      continue;
    }
    const path socket = folder / name.substr(0, name.size() - kStateSuffix.size());
    if (const auto size = SizeIn(name)) {
      found.emplace_back(info.st_mtim, WaitingSpare{.socket = socket, .size = *size});
    }
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) {
    return std::pair(a.first.tv_sec, a.first.tv_nsec) < std::pair(b.first.tv_sec, b.first.tv_nsec);
  });
  std::vector<WaitingSpare> spares;
  spares.reserve(found.size());
  for (auto& [time, spare] : found) {
    spares.push_back(std::move(spare));
  }
  return spares;
}

std::vector<WaitingSpare> LivingSparesIn(const path& folder) {
  std::vector<WaitingSpare> spares = SparesIn(folder);
  std::erase_if(spares, [](const WaitingSpare& spare) {
    const bool listens = ConnectUnix(spare.socket, SocketKind::kMessages).has_value();
    if (!listens) {
      RemoveIfDead(spare.socket);
    }
    return !listens;
  });
  return spares;
}

}  // namespace farlet::shim
