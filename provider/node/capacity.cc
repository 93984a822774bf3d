#include "provider/node/capacity.h"

#include "runtime/base/file.h"

#include <fmt/format.h>

#include <sched.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace farlet::node {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kKi = 1024;
constexpr int64_t kMi = 1024 * kKi;
constexpr int64_t kMemoryThreshold = 100 * kMi;
constexpr int64_t kStoragePercent = 10;
constexpr int64_t kInodePercent = 5;
constexpr int64_t kPidPercent = 10;

std::string Trimmed(std::string text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  text.erase(end == std::string::npos ? 0 : end + 1);
  return text;
}

// The first of the files that has something in it.
std::string FirstOf(std::initializer_list<fs::path> paths) {
  for (const fs::path& path : paths) {
    const Result<std::string> text = ReadFile(path, 4096);
    if (text && !Trimmed(*text).empty()) {
      return Trimmed(*text);
    }
  }
  return {};
}

// The number that follows `key`: "MemTotal:       24683656 kB".
Result<int64_t> NumberAfter(const std::string& text, std::string_view key, const fs::path& file) {
  const size_t at = text.find(key);
  if (at != std::string::npos) {
    const size_t digits = text.find_first_not_of(" \t", at + key.size());
    int64_t value = 0;
    if (digits != std::string::npos) {
      const auto parsed = std::from_chars(text.data() + digits, text.data() + text.size(), value);
      if (parsed.ec == std::errc()) {
        return value;
      }
    }
  }
  return Internal(fmt::format("{}: no \"{}\"", file.string(), key));
}

Result<int64_t> ReadMemory(const HostPaths& paths, std::string_view key) {
  const fs::path file = paths.proc / "meminfo";
  FARLET_ASSIGN(const std::string text, ReadFile(file, 64 * kKi));
  FARLET_ASSIGN(const int64_t kib, NumberAfter(text, key, file));
  return kib * kKi;
}

int64_t CountCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    return CPU_COUNT(&set);
  }
  return std::max<int64_t>(1, ::sysconf(_SC_NPROCESSORS_ONLN));
}

std::string Architecture(const std::string& machine) {
  if (machine == "x86_64") {
    return "amd64";
  }
  if (machine == "aarch64") {
    return "arm64";
  }
  return machine;
}

std::string OsImage(const fs::path& etc) {
  const std::string text = FirstOf({etc / "os-release"});
  constexpr std::string_view kKey = "PRETTY_NAME=";
  const size_t at = text.find(kKey);
  if (at == std::string::npos) {
    return "Linux";
  }
  std::string value = text.substr(at + kKey.size(), text.find('\n', at) - at - kKey.size());
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) {
    value = value.substr(1, value.size() - 2);
  }
  return value;
}

// "hugepages-2048kB" → "2Mi".
std::string HugepageSize(int64_t kib) {
  if (kib % (kKi * kKi) == 0) {
    return fmt::format("{}Gi", kib / (kKi * kKi));
  }
  return kib % kKi == 0 ? fmt::format("{}Mi", kib / kKi) : fmt::format("{}Ki", kib);
}

std::map<std::string, int64_t> ReadHugepages(const fs::path& sys) {
  std::map<std::string, int64_t> pages;
  std::error_code error;
  constexpr std::string_view kPrefix = "hugepages-";
  for (const auto& entry : fs::directory_iterator(sys / "kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();
    if (name.compare(0, kPrefix.size(), kPrefix) != 0) {
      continue;
    }
    const int64_t kib = std::strtoll(name.c_str() + kPrefix.size(), nullptr, 10);
    const std::string count = FirstOf({entry.path() / "nr_hugepages"});
    if (kib > 0) {
      pages[HugepageSize(kib)] = std::strtoll(count.c_str(), nullptr, 10) * kib * kKi;
    }
  }
  return pages;
}

kube::Quantity Whole(int64_t value) {
  return kube::Quantity::FromMilli(value * 1000);
}

}  // namespace

Result<HostFacts> ReadHostFacts(const HostPaths& paths) {
  HostFacts host;
  host.cpus = CountCpus();
  FARLET_ASSIGN(host.memory_bytes, ReadMemory(paths, "MemTotal:"));

  struct statvfs file_system {};

  if (::statvfs(paths.root_dir.c_str(), &file_system) != 0) {
    return ErrnoError(errno, fmt::format("size of the file system of {}", paths.root_dir.string()));
  }
  host.storage_bytes = static_cast<int64_t>(file_system.f_blocks * file_system.f_frsize);
  host.hugepages = ReadHugepages(paths.sys);
  host.machine_id = FirstOf({paths.etc / "machine-id", paths.sys / "class/dmi/id/product_uuid"});
  host.system_uuid = FirstOf({paths.sys / "class/dmi/id/product_uuid",
                              paths.proc / "device-tree/system-id", paths.etc / "machine-id"});
  host.boot_id = FirstOf({paths.proc / "sys/kernel/random/boot_id"});
  host.os_image = OsImage(paths.etc);
  utsname kernel{};
  if (::uname(&kernel) == 0) {
    host.kernel_version = kernel.release;
    host.architecture = Architecture(kernel.machine);
  }
  return host;
}

Pressure ReadPressure(const HostPaths& paths) {
  Pressure pressure;
  const Result<int64_t> memory = ReadMemory(paths, "MemAvailable:");
  pressure.memory = memory && *memory < kMemoryThreshold;

  struct statvfs disk {};

  if (::statvfs(paths.root_dir.c_str(), &disk) == 0) {
    pressure.disk = disk.f_bavail * 100 < disk.f_blocks * kStoragePercent ||
                    (disk.f_files > 0 && disk.f_favail * 100 < disk.f_files * kInodePercent);
  }

  // "0.20 0.18 0.12 1/80 11206": the number after the slash is that of all tasks.
  const std::string load = FirstOf({paths.proc / "loadavg"});
  const size_t slash = load.find('/');
  const int64_t limit =
      std::strtoll(FirstOf({paths.proc / "sys/kernel/pid_max"}).c_str(), nullptr, 10);
  if (slash != std::string::npos && limit > 0) {
    const int64_t tasks = std::strtoll(load.c_str() + slash + 1, nullptr, 10);
    pressure.pid = (limit - tasks) * 100 < limit * kPidPercent;
  }
  return pressure;
}

Capacity ComputeCapacity(const NodeSettings& settings, const HostFacts& host) {
  Capacity result;
  const auto add = [&](const std::string& name, int64_t capacity, int64_t allocatable) {
    result.capacity[name] = Whole(capacity);
    result.allocatable[name] = Whole(std::max<int64_t>(0, allocatable));
  };
  int64_t huge = 0;
  for (const auto& [size, bytes] : host.hugepages) {
    add("hugepages-" + size, bytes, bytes);
    huge += bytes;
  }
  add("cpu", host.cpus, host.cpus);
  add("memory", host.memory_bytes, host.memory_bytes - kMemoryThreshold - huge);
  add("pods", settings.max_pods, settings.max_pods);
  add("ephemeral-storage", host.storage_bytes,
      host.storage_bytes - host.storage_bytes / 100 * kStoragePercent);
  for (const auto& [name, amount] : settings.capacity) {
    result.capacity[name] = amount;
    result.allocatable[name] = amount;
  }
  const auto add_counted = [&](const std::string& name, const char* of, int64_t milli_unit) {
    if (!name.empty()) {
      add(name, result.capacity[of].milli() / milli_unit,
          result.allocatable[of].milli() / milli_unit);
    }
  };
  add_counted(settings.milli_cpu_resource, "cpu", 1);
  add_counted(settings.mebibyte_resource, "memory", 1000 * kMi);
  return result;
}

std::string FormatResource(const std::string& name, const kube::Quantity& amount) {
  if (amount.milli() % 1000 != 0) {
    return fmt::format("{}m", amount.milli());
  }
  const int64_t value = amount.milli() / 1000;
  const bool bytes =
      name == "memory" || name == "ephemeral-storage" || name.compare(0, 10, "hugepages-") == 0;
  return bytes && value > 0 && value % kKi == 0 ? fmt::format("{}Ki", value / kKi)
                                                : std::to_string(value);
}

}  // namespace farlet::node
