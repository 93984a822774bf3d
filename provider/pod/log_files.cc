#include "provider/pod/log_files.h"

#include "runtime/base/log.h"

#include <filesystem>
#include <system_error>
#include <vector>

namespace farlet::pod {

namespace fs = std::filesystem;

void RemoveContainerLogs(const std::string& log_path) {
  if (log_path.empty()) {
    return;
  }
  const fs::path path(log_path);
  const std::string name = path.filename().string();
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path.parent_path(), error)) {
    if (entry.path().filename().string().starts_with(name)) {
      files.push_back(entry.path());
    }
  }
  for (const fs::path& file : files) {
    fs::remove(file, error);
  }
}

void RemovePodLogs(const NodeContext& node, const std::string& uid) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(node.pod_logs_dir, error)) {
    if (entry.path().filename().string().ends_with("_" + uid)) {
      folders.push_back(entry.path());
    }
  }
  for (const fs::path& folder : folders) {
    fs::remove_all(folder, error);
    if (error) {
      log::Warning("cannot remove a log folder",
                   {{"path", folder.string()}, {"error", error.message()}});
    }
  }
}

}  // namespace farlet::pod
