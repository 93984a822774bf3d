#include "runtime/shim/cpu_wait.h"

#include "runtime/base/file.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace farlet::shim {
namespace {

using std::filesystem::path;

constexpr size_t kMaxText = 64u << 10;

std::vector<path> TasksOf(const std::string& process) {
  std::vector<path> tasks;
  std::error_code error;
  std::filesystem::directory_iterator entry(path("/proc") / process / "task", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    tasks.push_back(entry->path());
  }
  return tasks;
}

// proc(5): time on the CPU, time waiting for it, number of times; nanoseconds.
uint64_t WaitOf(const path& task) {
  std::istringstream fields(ReadFile(task / "schedstat", kMaxText).value_or(""));
  uint64_t ran = 0;
  uint64_t waited = 0;
  fields >> ran >> waited;
  return waited;
}

}  // namespace

std::chrono::nanoseconds CpuWait() {
  std::vector<std::string> processes = {"self"};
  for (const path& task : TasksOf("self")) {
    std::istringstream children(ReadFile(task / "children", kMaxText).value_or(""));
    for (std::string child; children >> child;) {
      processes.push_back(child);
    }
  }
  uint64_t sum = 0;
  for (const std::string& process : processes) {
    uint64_t longest = 0;
    for (const path& task : TasksOf(process)) {
      longest = std::max(longest, WaitOf(task));
    }
    sum += longest;
  }
  return std::chrono::nanoseconds(sum);
}

}  // namespace farlet::shim
