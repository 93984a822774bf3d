#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace farlet::shim {

// What the translation of a mount has to know about its source on the host.
struct PathFacts {
  enum class Type { kDirectory, kFile, kDevice, kOther };

  Type type = Type::kOther;
  mode_t mode = 0;  // permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t device_major = 0;  // of kDevice
  uint64_t device_minor = 0;
  bool block_device = false;
  bool tmpfs = false;
  uint64_t filesystem_bytes = 0;
};

class HostFacts {
 public:
  virtual ~HostFacts() = default;
  // kNotFound when there is nothing; links are followed.
  virtual Result<PathFacts> At(const std::filesystem::path& path) const = 0;
  // For a mount point: what of its file system is mounted there, as /proc/self/mountinfo tells (its
  // fourth field). kNotFound when `path` is none.
  virtual Result<std::string> MountedRoot(const std::filesystem::path& path) const = 0;
  // Whether anything is mounted below the folder; links in its path are followed.
  virtual bool HasMountsBelow(const std::filesystem::path& path) const = 0;
};

class RealHostFacts final : public HostFacts {
 public:
  Result<PathFacts> At(const std::filesystem::path& path) const override;
  Result<std::string> MountedRoot(const std::filesystem::path& path) const override;
  bool HasMountsBelow(const std::filesystem::path& path) const override;
};

}  // namespace farlet::shim
