#include "runtime/shim/stdio/names.h"

#include <fmt/format.h>

#include <algorithm>
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

int HexDigit(char letter) {
  if (letter >= '0' && letter <= '9') {
    return letter - '0';
  }
  const char lower = static_cast<char>(letter | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Of a URL's query; what is no escape stays as it is.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      plain += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      plain += text[i] == '+' ? ' ' : text[i];
    }
  }
  return plain;
}

Result<StreamTarget> Logger(std::string_view rest) {
  const size_t question = rest.find('?');
  FARLET_ASSIGN(StreamTarget target, Target(StreamTarget::Kind::kLogger, rest.substr(0, question)));
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const size_t equals = pair.find('=');
    target.arguments.push_back(Unescape(pair.substr(0, equals)));
    if (equals != std::string_view::npos) {
      target.arguments.push_back(Unescape(pair.substr(equals + 1)));
    }
  }
  for (const std::string& argument : target.arguments) {
    if (argument.find('\0') != std::string::npos) {
      return InvalidArgument("stdio binary: a zero byte in an argument");
    }
  }
  return target;
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
  if (scheme == "binary") {
    return Logger(rest);
  }
  if (scheme == "binary-v2" || scheme == "ttrpc+unix") {
    return MakeError(Code::kUnimplemented,
                     fmt::format("stdio scheme {}: not supported by this runtime", scheme));
  }
  return InvalidArgument(fmt::format("stdio scheme {}: unknown", scheme));
}

}  // namespace farlet::shim
