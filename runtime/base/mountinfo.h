#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace farlet {

struct MountInfo {
  std::string root;  // what of the file system is mounted
  std::filesystem::path point;
  std::string filesystem;
};

// In the order in which they were mounted. Lines that make no sense are left out.
std::vector<MountInfo> ParseMountInfo(std::string_view text);
// Of this process.
Result<std::vector<MountInfo>> ReadMountInfo();

// Detaches everything mounted at or below `path`, last mounted first. Success when there is
// nothing.
Status UnmountBelow(const std::filesystem::path& path);

}  // namespace farlet
