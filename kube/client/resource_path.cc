#include "kube/client/escape.h"

#include <fmt/format.h>

namespace farlet::kube {

std::string Escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string Target(std::string_view path, const Query& query) {
  std::string target(path);
  char separator = '?';
  for (const auto& [name, value] : query) {
    target += separator + Escape(name) + "=" + Escape(value);
    separator = '&';
  }
  return target;
}

std::string ResourcePath(std::string_view group_version,
                         std::string_view resource,
                         std::string_view object_namespace,
                         std::string_view name,
                         std::string_view subresource) {
  const size_t slash = group_version.find('/');
  std::string path = "/api/" + Escape(group_version);
  if (slash != std::string_view::npos) {
    path = "/apis/" + Escape(group_version.substr(0, slash)) + "/" +
           Escape(group_version.substr(slash + 1));
  }
  if (!object_namespace.empty()) {
    path += "/namespaces/" + Escape(object_namespace);
  }
  for (const std::string_view segment : {resource, name, subresource}) {
    if (!segment.empty()) {
      path += "/" + Escape(segment);
    }
  }
  return path;
}

}  // namespace farlet::kube
