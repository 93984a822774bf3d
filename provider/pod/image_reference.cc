#include "provider/pod/image_reference.h"

#include "provider/pod/image_credentials.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::pod {
namespace {

constexpr size_t kMaxRepository = 255;
constexpr size_t kMaxTag = 128;
constexpr size_t kMaxShown = 512;

bool IsLower(char c) {
  return c >= 'a' && c <= 'z';
}

bool IsUpper(char c) {
  return c >= 'A' && c <= 'Z';
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

bool IsHex(char c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool IsAlphanumeric(char c) {
  return IsLower(c) || IsUpper(c) || IsDigit(c);
}

template <class Predicate>
bool All(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

// Lower-case alphanumerics with ".", "_", "__" or dashes between them.
bool IsPathComponent(std::string_view text) {
  const auto word = [](char c) { return IsLower(c) || IsDigit(c); };
  size_t i = 0;
  while (i < text.size() && word(text[i])) {
    while (i < text.size() && word(text[i])) {
      ++i;
    }
    if (i == text.size()) {
      return true;
    }
    const size_t begin = i;
    while (i < text.size() && !word(text[i])) {
      ++i;
    }
    const std::string_view separator = text.substr(begin, i - begin);
    if (separator != "." && separator != "_" && separator != "__" &&
        !All(separator, [](char c) { return c == '-'; })) {
      return false;
    }
  }
  return false;
}

bool IsPath(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (!IsPathComponent(path.substr(0, slash))) {
      return false;
    }
    if (slash == std::string_view::npos) {
      return true;
    }
    path.remove_prefix(slash + 1);
  }
}

// Host name or address, and a port.
bool IsRegistry(std::string_view text) {
  std::string_view host = text;
  const size_t colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find(']', colon) == std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || !All(port, IsDigit)) {
      return false;
    }
    host = text.substr(0, colon);
  }
  if (host.starts_with('[')) {
    return host.ends_with(']') && host.size() > 2 &&
           All(host.substr(1, host.size() - 2), [](char c) { return IsHex(c) || c == ':'; });
  }
  return !host.empty() && IsAlphanumeric(host.front()) && IsAlphanumeric(host.back()) &&
         host.find("..") == std::string_view::npos &&
         All(host, [](char c) { return IsAlphanumeric(c) || c == '.' || c == '-'; });
}

bool IsTag(std::string_view tag) {
  const auto word = [](char c) { return IsAlphanumeric(c) || c == '_'; };
  return !tag.empty() && tag.size() <= kMaxTag && word(tag.front()) &&
         All(tag, [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool IsDigest(std::string_view digest) {
  constexpr size_t kMinHex = 32;
  constexpr size_t kSha256Hex = 64;
  const size_t colon = digest.find(':');
  if (colon == std::string_view::npos || colon == 0 || !IsAlphanumeric(digest.front())) {
    return false;
  }
  const std::string_view hex = digest.substr(colon + 1);
  const bool sha256 = digest.substr(0, colon) == "sha256";
  return All(hex, IsHex) && (sha256 ? hex.size() == kSha256Hex : hex.size() >= kMinHex);
}

// Whether the first component names a registry rather than a user of Docker Hub.
bool LooksLikeRegistry(std::string_view first) {
  return first.find_first_of(".:") != std::string_view::npos || first == "localhost" ||
         std::any_of(first.begin(), first.end(), IsUpper);
}

void SplitRegistry(std::string_view name, ImageReference& reference) {
  const size_t slash = name.find('/');
  if (slash != std::string_view::npos && LooksLikeRegistry(name.substr(0, slash))) {
    reference.registry = name.substr(0, slash);
    reference.path = name.substr(slash + 1);
  } else {
    reference.registry = "docker.io";
    reference.path = name;
  }
  if (reference.registry == "index.docker.io") {
    reference.registry = "docker.io";
  }
  if (reference.registry == "docker.io" && reference.path.find('/') == std::string::npos) {
    reference.path = "library/" + reference.path;
  }
}

}  // namespace

std::string ImageReference::Format() const {
  return registry + "/" + path + (tag.empty() ? "" : ":" + tag) +
         (digest.empty() ? "" : "@" + digest);
}

Result<ImageReference> ParseImageReference(std::string_view image) {
  const auto invalid = [&](std::string_view why) {
    return InvalidArgument(
        fmt::format("couldn't parse image name \"{}\": invalid reference format{}",
                    image.substr(0, kMaxShown), why));
  };
  ImageReference reference;
  std::string_view name = image;
  if (const size_t at = name.find('@'); at != std::string_view::npos) {
    reference.digest = name.substr(at + 1);
    name = name.substr(0, at);
    if (!IsDigest(reference.digest)) {
      return invalid("");
    }
  }
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    reference.tag = name.substr(colon + 1);
    name = name.substr(0, colon);
    if (!IsTag(reference.tag)) {
      return invalid("");
    }
  }
  constexpr size_t kIdLength = 64;
  if (name.size() == kIdLength && All(name, [](char c) { return IsHex(c) && !IsUpper(c); })) {
    return invalid(": cannot specify 64-byte hexadecimal strings");
  }
  SplitRegistry(name, reference);
  if (std::any_of(reference.path.begin(), reference.path.end(), IsUpper)) {
    return invalid(": repository name (" + reference.path.substr(0, kMaxShown) +
                   ") must be lowercase");
  }
  if (!IsRegistry(reference.registry) || !IsPath(reference.path) ||
      reference.registry.size() + 1 + reference.path.size() > kMaxRepository) {
    return invalid("");
  }
  if (reference.tag.empty() && reference.digest.empty()) {
    reference.tag = "latest";
  }
  return reference;
}

Result<std::string> NormalizeImage(std::string_view image) {
  FARLET_ASSIGN(const ImageReference reference, ParseImageReference(image));
  return reference.Format();
}

}  // namespace farlet::pod
