#include "provider/pod/volume_paths.h"

#include <fmt/format.h>

namespace farlet::pod {
namespace {

const char* PluginName(const kube::Volume& volume) {
  const auto* files = std::get_if<kube::ProjectedVolume>(&volume.source);
  if (files == nullptr) {
    return "empty-dir";
  }
  switch (files->kind) {
    case kube::ProjectedVolume::Kind::kConfigMap:
      return "configmap";
    case kube::ProjectedVolume::Kind::kSecret:
      return "secret";
    case kube::ProjectedVolume::Kind::kDownwardApi:
      return "downward-api";
    case kube::ProjectedVolume::Kind::kProjected:
      break;
  }
  return "projected";
}

}  // namespace

std::filesystem::path SecretsRoot(const NodeContext& node) {
  return node.root_dir / "secrets";
}

std::filesystem::path SecretsDirectory(const NodeContext& node, const std::string& uid) {
  return SecretsRoot(node) / uid;
}

bool IsSecret(const kube::Volume& volume) {
  const auto* files = std::get_if<kube::ProjectedVolume>(&volume.source);
  return files != nullptr && files->kind != kube::ProjectedVolume::Kind::kConfigMap;
}

std::filesystem::path VolumeDirectory(const NodeContext& node,
                                      const std::string& uid,
                                      const kube::Volume& volume) {
  const std::filesystem::path volumes =
      IsSecret(volume) ? SecretsDirectory(node, uid) : PodDirectory(node, uid) / "volumes";
  return volumes / fmt::format("kubernetes.io~{}", PluginName(volume)) / volume.name;
}

std::filesystem::path SubPathTarget(const NodeContext& node,
                                    const std::string& uid,
                                    const kube::VolumeMount& mount,
                                    const std::string& container,
                                    size_t index) {
  return PodDirectory(node, uid) / "volume-subpaths" / mount.name / container /
         std::to_string(index);
}

std::filesystem::path TerminationLog(const NodeContext& node,
                                     const std::string& uid,
                                     const std::string& container,
                                     uint32_t restart_count) {
  return PodDirectory(node, uid) / "containers" / container / fmt::format("{:08x}", restart_count);
}

}  // namespace farlet::pod
