#pragma once

#include "provider/metering/pod_run.h"

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

namespace farlet::metering::testing {

// When the fake clock starts: 2026-01-02T03:04:05Z.
inline constexpr WallTime kStart{seconds(1767323045)};

// 0.25 vCPU and 0.5 GB, in namespace "default" under profile "fp".
inline PodRun Small(const std::string& uid) {
  return {.uid = uid,
          .object_namespace = "default",
          .name = "pod-" + uid,
          .profile = "fp",
          .provisioned = {.cpu = {250}, .memory = {512 * fargate::kMi}},
          .storage = fargate::kDefaultStorage};
}

inline PodRun Ran(const std::string& uid, WallTime begin, WallTime end) {
  PodRun run = Small(uid);
  run.at(Moment::kImageBegun) = begin;
  run.end = end;
  return run;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = "/tmp/farlet-metering-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }

  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace farlet::metering::testing
