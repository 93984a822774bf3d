#pragma once

#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace farlet::pod {

struct ProjectedFile {
  std::string content;
  mode_t mode = 0644;
  std::optional<uid_t> owner;
};

// By path relative to the volume.
using Payload = std::map<std::string, ProjectedFile>;

// Makes the files of `folder` exactly those of `payload`, all at once for whoever reads them:
//
//   folder/name ──► ..data/name          only the first component of each path
//   folder/..data ──► ..2006_01_02_15_04_05.0123456789     replaced by rename
//   folder/..2006…/name                  the content
//
// Writes only when some content differs. `group`: the pod's fsGroup; files and folders get it, and
// are readable by it. Error kInvalidArgument: a path that is absolute, has "..", or is too long.
// Not thread safe per folder.
Status WriteAtomically(const std::filesystem::path& folder,
                       const Payload& payload,
                       std::optional<gid_t> group);

}  // namespace farlet::pod
