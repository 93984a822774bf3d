#include "provider/server/request.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::server {
namespace {

constexpr size_t kMaxParameters = 1000;

int HexValue(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  if (digit >= 'A' && digit <= 'F') {
    return digit - 'A' + 10;
  }
  return -1;
}

// Takes what stands before `delimiter` from the front of `text`, and the delimiter with it.
std::string_view TakeUntil(std::string_view& text, char delimiter) {
  const size_t end = text.find(delimiter);
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return taken;
}

bool IsNameSegment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         segment.find('/') == std::string_view::npos &&
         segment.find('\0') == std::string_view::npos;
}

Status ParsePath(std::string_view path, Request& request) {
  path.remove_prefix(1);
  while (!path.empty()) {
    auto segment = PercentDecode(TakeUntil(path, '/'), false);
    if (!segment || !IsNameSegment(*segment)) {
      return InvalidArgument("malformed path");
    }
    request.path += '/';
    request.path += *segment;
    request.segments.push_back(std::move(*segment));
  }
  if (request.segments.empty()) {
    request.path = "/";
  }
  return {};
}

Status ParseQuery(std::string_view query, QueryParameters& parameters) {
  while (!query.empty()) {
    std::string_view value = TakeUntil(query, '&');
    if (value.empty()) {
      continue;
    }
    const std::string_view name = TakeUntil(value, '=');
    auto decoded_name = PercentDecode(name, true);
    auto decoded_value = PercentDecode(value, true);
    if (!decoded_name || !decoded_value) {
      return InvalidArgument(fmt::format("malformed query parameter \"{}\"", name.substr(0, 64)));
    }
    if (parameters.size() >= kMaxParameters) {
      return InvalidArgument("too many query parameters");
    }
    parameters.emplace_back(std::move(*decoded_name), std::move(*decoded_value));
  }
  return {};
}

}  // namespace

const std::string* Request::Find(std::string_view name) const {
  const auto found = std::find_if(query.begin(), query.end(),
                                  [&](const auto& pair) { return pair.first == name; });
  return found == query.end() ? nullptr : &found->second;
}

bool Request::Flag(std::string_view name) const {
  const std::string* value = Find(name);
  return value != nullptr && *value == "1";
}

Status ParseTarget(std::string_view target, Request& request) {
  if (target.empty() || target.front() != '/') {
    return InvalidArgument("malformed request target: not a path");
  }
  target = target.substr(0, target.find('#'));
  const std::string_view path = TakeUntil(target, '?');
  FARLET_TRY(ParsePath(path, request));
  return ParseQuery(target, request.query);
}

std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded += ' ';
      continue;
    }
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3 || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) {
      return std::nullopt;
    }
    decoded += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
    i += 2;
  }
  return decoded;
}

}  // namespace farlet::server
