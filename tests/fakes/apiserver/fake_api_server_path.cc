#include "tests/fakes/apiserver/fake_api_server_path.h"

#include <map>
#include <sstream>
#include <vector>

namespace farlet::testing {

ApiPath ParseApiPath(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream stream(path);
  for (std::string part; std::getline(stream, part, '/');) {
    if (!part.empty()) {
      parts.push_back(part);
    }
  }
  ApiPath result;
  size_t next = 0;
  const auto take = [&] { return next < parts.size() ? parts[next++] : std::string(); };
  const std::string root = take();
  if (root == "api") {
    result.group_version = take();
  } else if (root == "apis") {
    result.group_version = take();
    result.group_version += "/" + take();
  } else {
    return result;
  }
  // "namespaces/NS" alone is the namespace object; with more behind it, where the rest lives.
  if (next < parts.size() && parts[next] == "namespaces" && next + 2 < parts.size()) {
    ++next;
    result.object_namespace = take();
  }
  result.resource = take();
  result.name = take();
  result.subresource = take();
  return result;
}

std::string KindOf(const std::string& resource) {
  static const std::map<std::string, std::string> kKinds{
      {"pods", "Pod"},
      {"nodes", "Node"},
      {"leases", "Lease"},
      {"events", "Event"},
      {"configmaps", "ConfigMap"},
      {"secrets", "Secret"},
      {"services", "Service"},
      {"namespaces", "Namespace"},
      {"serviceaccounts", "ServiceAccount"},
      {"certificatesigningrequests", "CertificateSigningRequest"},
      {"tokenreviews", "TokenReview"},
      {"subjectaccessreviews", "SubjectAccessReview"}};
  const auto found = kKinds.find(resource);
  return found != kKinds.end() ? found->second : resource;
}

}  // namespace farlet::testing
