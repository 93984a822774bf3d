#pragma once

#include <string>

namespace farlet::testing {

// "/api/v1/namespaces/NS/pods/NAME/status" and its like.
struct ApiPath {
  std::string group_version;  // "v1", "coordination.k8s.io/v1"
  std::string object_namespace;
  std::string resource;
  std::string name;
  std::string subresource;

  // Where objects of this resource and namespace (all: empty) are kept.
  std::string Prefix() const { return group_version + "|" + resource + "|" + object_namespace; }

  std::string Key() const { return Prefix() + "|" + name; }
};

// Resource is empty when `path` is none.
ApiPath ParseApiPath(const std::string& path);

// "pods" → "Pod"; the resource itself when it is not known.
std::string KindOf(const std::string& resource);

}  // namespace farlet::testing
