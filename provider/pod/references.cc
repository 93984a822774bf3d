#include "provider/pod/references.h"

#include <set>
#include <utility>

namespace farlet::pod {
namespace {

class Collector {
 public:
  explicit Collector(const kube::Pod& pod) : pod_(pod) {}

  void Add(kube::ObjectKind kind, const std::string& name) {
    if (!name.empty()) {
      keys_.insert({.kind = kind, .object_namespace = pod_.meta.object_namespace, .name = name});
    }
  }

  void AddContainer(const kube::Container& container) {
    for (const kube::EnvFromSource& source : container.env_from) {
      Add(source.kind == kube::EnvFromSource::Kind::kSecret ? kube::ObjectKind::kSecret
                                                            : kube::ObjectKind::kConfigMap,
          source.name);
    }
    for (const kube::EnvVar& env : container.env) {
      if (const auto* config = std::get_if<kube::ConfigMapKey>(&env.source)) {
        Add(kube::ObjectKind::kConfigMap, config->name);
      } else if (const auto* secret = std::get_if<kube::SecretKey>(&env.source)) {
        Add(kube::ObjectKind::kSecret, secret->name);
      }
    }
  }

  void AddVolume(const kube::Volume& volume) {
    const auto* files = std::get_if<kube::ProjectedVolume>(&volume.source);
    if (files == nullptr) {
      return;
    }
    for (const kube::ProjectionSource& source : files->sources) {
      if (const auto* config = std::get_if<kube::ConfigMapProjection>(&source)) {
        Add(kube::ObjectKind::kConfigMap, config->name);
      } else if (const auto* secret = std::get_if<kube::SecretProjection>(&source)) {
        Add(kube::ObjectKind::kSecret, secret->name);
      }
    }
  }

  std::vector<kube::ObjectKey> Take() const { return {keys_.begin(), keys_.end()}; }

 private:
  const kube::Pod& pod_;
  std::set<kube::ObjectKey> keys_;
};

}  // namespace

std::vector<kube::ObjectKey> ReferencedObjects(const kube::Pod& pod) {
  Collector collector(pod);
  for (const kube::Container& container : pod.spec.init_containers) {
    collector.AddContainer(container);
  }
  for (const kube::Container& container : pod.spec.containers) {
    collector.AddContainer(container);
  }
  for (const kube::Volume& volume : pod.spec.volumes) {
    collector.AddVolume(volume);
  }
  for (const std::string& secret : pod.spec.image_pull_secrets) {
    collector.Add(kube::ObjectKind::kSecret, secret);
  }
  return collector.Take();
}

}  // namespace farlet::pod
