#pragma once

#include "kube/api/pod.h"
#include "provider/pod/references.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace farlet::pod {

// A pod "web" with a container "app"; `overrides` is merged into it (RFC 7386).
inline kube::Pod BuildPod(const nlohmann::json& overrides = nlohmann::json::object()) {
  nlohmann::json object = nlohmann::json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop", "uid": "uid-1", "generation": 1},
    "spec": {"nodeName": "node-a", "serviceAccountName": "robot",
             "containers": [{"name": "app", "image": "registry.test/app:1"}]},
    "status": {"phase": "Pending"}})");
  object.merge_patch(overrides);
  Result<kube::Pod> pod = kube::Pod::FromJson(std::move(object));
  EXPECT_TRUE(pod) << pod.error().message;
  EXPECT_FALSE(pod->invalid) << pod->invalid->message;
  return *std::move(pod);
}

// ConfigMaps and Secrets by name; what is not there is kNotFound.
class FakeObjects {
 public:
  void Put(kube::ObjectKind kind, const std::string& name, nlohmann::json object) {
    objects_[{kind, name}] = std::make_shared<const nlohmann::json>(std::move(object));
  }

  void PutConfigMap(const std::string& name, const nlohmann::json& data) {
    Put(kube::ObjectKind::kConfigMap, name, {{"data", data}});
  }

  // `data` is base64 already.
  void PutSecret(const std::string& name, const nlohmann::json& data) {
    Put(kube::ObjectKind::kSecret, name, {{"data", data}});
  }

  // Not read yet.
  void Hide(kube::ObjectKind kind, const std::string& name) { objects_[{kind, name}] = nullptr; }

  ObjectLookup Lookup() const {
    return [this](const kube::ObjectKey& key) -> kube::ObjectCache::Lookup {
      const auto found = objects_.find({key.kind, key.name});
      if (found == objects_.end()) {
        return NotFound("not found");
      }
      if (found->second == nullptr) {
        return Unavailable("not read yet");
      }
      return found->second;
    };
  }

 private:
  std::map<std::pair<kube::ObjectKind, std::string>, std::shared_ptr<const nlohmann::json>>
      objects_;
};

}  // namespace farlet::pod
