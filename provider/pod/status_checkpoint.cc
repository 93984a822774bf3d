#include "provider/pod/status_checkpoint.h"

#include "runtime/base/file.h"
#include "runtime/base/json_text.h"
#include "runtime/base/log.h"

#include <nlohmann/json.hpp>

#include <filesystem>
#include <system_error>

namespace farlet::pod {
namespace {

using nlohmann::json;

constexpr char kFileName[] = "status.json";
constexpr int kVersion = 1;

Result<json> Load(const std::filesystem::path& path) {
  FARLET_ASSIGN(const std::string text, ReadFile(path));
  json file = json::parse(text, nullptr, false);
  if (!file.is_object() || !file.contains("version") || file["version"] != kVersion ||
      !file.contains("status") || !file["status"].is_object()) {
    return InvalidArgument(path.string() + " is not a status checkpoint of version 1");
  }
  return std::move(file["status"]);
}

}  // namespace

Status SaveStatusCheckpoint(const NodeContext& node, const std::string& uid, const json& status) {
  const std::filesystem::path folder = PodDirectory(node, uid);
  FARLET_TRY(MakeDirectories(folder, 0750));
  const json file = {{"version", kVersion}, {"uid", uid}, {"status", status}};
  return WriteFileAtomic(folder / kFileName, JsonText(file), 0600);
}

void RemoveStatusCheckpoint(const NodeContext& node, const std::string& uid) {
  std::error_code ignored;  // a file that stays is overwritten or goes with the pod's folder
  std::filesystem::remove(PodDirectory(node, uid) / kFileName, ignored);
}

std::map<std::string, json> LoadStatusCheckpoints(const NodeContext& node) {
  std::map<std::string, json> statuses;
  std::error_code error;
  const std::filesystem::path root = PodDirectory(node, "x").parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::filesystem::path path = entry.path() / kFileName;
    std::error_code missing;
    if (!std::filesystem::exists(path, missing)) {
      continue;
    }
    Result<json> status = Load(path);
    if (status) {
      statuses.emplace(entry.path().filename().string(), std::move(*status));
    } else {
      log::Warning("cannot read a status checkpoint", {{"error", status.error()}});
    }
  }
  return statuses;
}

}  // namespace farlet::pod
