#include "runtime/base/ulimit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace farlet {
namespace {

constexpr std::array<std::string_view, 15> kNames{
    "core", "cpu",   "data",  "fsize",  "locks",  "memlock", "msgqueue",  "nice",
    "rss",  "nproc", "stack", "nofile", "rtprio", "rttime",  "sigpending"};

// Linux's fs.nr_open; a higher limit cannot be set.
constexpr uint64_t kMaxFiles = 1u << 20;

Error Mistake(std::string_view item, std::string_view why) {
  constexpr size_t kShown = 64;
  std::string shown(item.substr(0, kShown));
  // It may be cut within a character, or have lines.
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return InvalidArgument(fmt::format("\"{}\" {}", shown, why));
}

bool ReadLimit(std::string_view text, uint64_t& limit) {
  if (text == "unlimited" || text == "-1") {
    limit = kUnlimited;
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  return error == std::errc() && end == text.data() + text.size();
}

Result<Ulimit> ParseItem(std::string_view item) {
  const size_t equals = item.find('=');
  if (equals == std::string_view::npos) {
    return Mistake(item, "is not of the form name=soft:hard");
  }
  Ulimit limit{.name = std::string(item.substr(0, equals))};
  if (std::find(kNames.begin(), kNames.end(), limit.name) == kNames.end()) {
    return Mistake(limit.name, "is the name of no ulimit");
  }
  const std::string_view values = item.substr(equals + 1);
  const size_t colon = values.find(':');
  if (!ReadLimit(values.substr(0, colon), limit.soft)) {
    return Mistake(item, "has a limit that is neither a number nor unlimited");
  }
  limit.hard = limit.soft;
  if (colon != std::string_view::npos && !ReadLimit(values.substr(colon + 1), limit.hard)) {
    return Mistake(item, "has a limit that is neither a number nor unlimited");
  }
  if (limit.soft > limit.hard) {
    return Mistake(item, "has a soft limit above the hard one");
  }
  if (limit.name == "nofile" && limit.hard > kMaxFiles) {
    return Mistake(item, fmt::format("is above {}", kMaxFiles));
  }
  return limit;
}

}  // namespace

Result<std::vector<Ulimit>> ParseUlimits(std::string_view text) {
  std::vector<Ulimit> limits;
  while (true) {
    const size_t end = std::min(text.find(','), text.size());
    FARLET_ASSIGN(Ulimit limit, ParseItem(text.substr(0, end)));
    if (std::any_of(limits.begin(), limits.end(),
                    [&](const Ulimit& other) { return other.name == limit.name; })) {
      return Mistake(limit.name, "is there twice");
    }
    limits.push_back(std::move(limit));
    if (end == text.size()) {
      return limits;
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace farlet
