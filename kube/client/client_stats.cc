#include "kube/client/make_client.h"

#include <vector>

namespace farlet::kube {

std::string ResourceOfPath(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    segments.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(segments.back().size());
  }
  // /api/v1/… or /apis/GROUP/VERSION/…, then [namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE…]]
  size_t at = !segments.empty() && segments[0] == "apis" ? 3 : 2;
  if (segments.size() > at + 2 && segments[at] == "namespaces") {
    at += 2;
  }
  if (segments.size() <= at) {
    return {};
  }
  std::string resource(segments[at]);
  if (segments.size() > at + 2) {
    resource += "/" + std::string(segments[at + 2]);
  }
  return resource;
}

void ClientStats::Count(const std::string& verb, const std::string& path, bool retry) {
  const std::string resource = ResourceOfPath(path);
  const std::lock_guard lock(mutex_);
  ++counts_.by_verb[verb];
  ++counts_.by_verb_and_resource[verb + " " + resource];
  counts_.retries += retry ? 1 : 0;
}

ClientStats::Counts ClientStats::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace farlet::kube
