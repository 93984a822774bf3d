#include "runtime/shim/stdio/names.h"

#include <fmt/format.h>

#include <string_view>

namespace farlet::shim {
namespace {

constexpr size_t kMaxName = 4096;

Result<StreamTarget> Target(StreamTarget::Kind kind, std::string_view path) {
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos) {
    return InvalidArgument(fmt::format("stdio {}: not an absolute path", path));
  }
  return StreamTarget{.kind = kind, .path = std::filesystem::path(path)};
}

}  // namespace

Result<StreamTarget> ParseStreamName(const std::string& name) {
  if (name.empty()) {
    return StreamTarget{};
  }
  if (name.size() > kMaxName) {
    return InvalidArgument(fmt::format("stdio name of {} bytes", name.size()));
  }
  const size_t colon = name.find("://");
  if (colon == std::string::npos) {
    return Target(StreamTarget::Kind::kFifo, name);
  }
  const std::string_view scheme = std::string_view(name).substr(0, colon);
  const std::string_view rest = std::string_view(name).substr(colon + 3);
  if (scheme == "fifo") {
    return Target(StreamTarget::Kind::kFifo, rest);
  }
  if (scheme == "file") {
    return Target(StreamTarget::Kind::kFile, rest.substr(0, rest.find('?')));
  }
  if (scheme == "binary" || scheme == "binary-v2" || scheme == "ttrpc+unix") {
    return MakeError(Code::kUnimplemented,
                     fmt::format("stdio scheme {}: not supported by this runtime", scheme));
  }
  return InvalidArgument(fmt::format("stdio scheme {}: unknown", scheme));
}

}  // namespace farlet::shim
