#pragma once

#include "provider/metering/pod_run.h"
#include "tests/unit/temp_folder.h"

#include <string>

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

}  // namespace farlet::metering::testing
