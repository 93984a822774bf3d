#include "runtime/vm/builder_cgroup.h"

#include <array>
#include <system_error>

namespace farlet::vm {

std::vector<std::filesystem::path> RootCgroupProcs(const std::filesystem::path& mount) {
  // Version 2, or the controllers of version 1 that charge or limit what a build uses.
  static constexpr std::array kFolders = {"", "memory", "cpu", "pids"};
  std::vector<std::filesystem::path> files;
  for (const char* folder : kFolders) {
    const auto file = mount / folder / "cgroup.procs";
    std::error_code error;
    if (std::filesystem::exists(file, error)) {
      files.push_back(file);
    }
  }
  return files;
}

}  // namespace farlet::vm
