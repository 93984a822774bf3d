#include "runtime/cri/convert.h"

namespace farlet::cri {

RuntimeStatus FromStatusResponse(const pb::StatusResponse& from) {
  RuntimeStatus status;
  for (const pb::RuntimeCondition& condition : from.status().conditions()) {
    status.conditions.push_back({.type = condition.type(),
                                 .status = condition.status(),
                                 .reason = condition.reason(),
                                 .message = condition.message()});
  }
  for (const pb::RuntimeHandler& handler : from.runtime_handlers()) {
    status.handlers.push_back(
        {.name = handler.name(),
         .recursive_readonly_mounts = handler.features().recursive_read_only_mounts(),
         .user_namespaces = handler.features().user_namespaces()});
  }
  return status;
}

std::vector<FilesystemUsage> FromFilesystems(const pb::ImageFsInfoResponse& from) {
  std::vector<FilesystemUsage> usages;
  for (const pb::FilesystemUsage& usage : from.image_filesystems()) {
    usages.push_back({.mountpoint = usage.fs_id().mountpoint(),
                      .used_bytes = usage.used_bytes().value(),
                      .inodes_used = usage.inodes_used().value()});
  }
  return usages;
}

}  // namespace farlet::cri
