#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <ctime>

namespace farlet {
namespace {

std::string FormatSeconds(WallTime time) {
  const std::time_t stamp =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm utc{};
  gmtime_r(&stamp, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::chrono::nanoseconds Fraction(WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      time - std::chrono::floor<std::chrono::seconds>(time));
}

// Reads exactly `digits` digits at the front of `text` and removes them.
bool TakeNumber(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits || value < 0) {
    return false;
  }
  text.remove_prefix(digits);
  return true;
}

bool TakeChar(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

bool TakeFraction(std::string_view& text, std::chrono::nanoseconds& fraction) {
  int64_t nanos = 0;
  int64_t unit = 100'000'000;
  size_t count = 0;
  while (count < text.size() && text[count] >= '0' && text[count] <= '9') {
    nanos += (text[count] - '0') * unit;
    unit /= 10;
    ++count;
  }
  text.remove_prefix(count);
  fraction = std::chrono::nanoseconds(nanos);
  return count > 0;
}

// Of a year and month as people count them.
bool IsDate(const std::tm& time) {
  return std::chrono::year_month_day(std::chrono::year(time.tm_year),
                                     std::chrono::month(static_cast<unsigned>(time.tm_mon)),
                                     std::chrono::day(static_cast<unsigned>(time.tm_mday)))
      .ok();
}

bool TakeOffset(std::string_view& text, std::chrono::minutes& offset) {
  if (TakeChar(text, 'Z') || TakeChar(text, 'z')) {
    offset = std::chrono::minutes(0);
    return true;
  }
  const bool negative = !text.empty() && text.front() == '-';
  if (!negative && (text.empty() || text.front() != '+')) {
    return false;
  }
  text.remove_prefix(1);
  int hours = 0;
  int minutes = 0;
  if (!TakeNumber(text, 2, hours) || !TakeChar(text, ':') || !TakeNumber(text, 2, minutes)) {
    return false;
  }
  offset = std::chrono::minutes((hours * 60 + minutes) * (negative ? -1 : 1));
  return true;
}

}  // namespace

std::string FormatRfc3339(WallTime time) {
  return FormatSeconds(time) + "Z";
}

std::string FormatRfc3339Micro(WallTime time) {
  return fmt::format("{}.{:06}Z", FormatSeconds(time), Fraction(time).count() / 1000);
}

std::string FormatRfc3339Nano(WallTime time) {
  std::string digits = fmt::format("{:09}", Fraction(time).count());
  digits.erase(digits.find_last_not_of('0') + 1);
  return FormatSeconds(time) + (digits.empty() ? "" : "." + digits) + "Z";
}

Result<WallTime> ParseRfc3339(std::string_view text) {
  std::string_view rest = text;
  std::tm utc{};
  std::chrono::nanoseconds fraction{0};
  std::chrono::minutes offset{0};
  bool valid = TakeNumber(rest, 4, utc.tm_year) && TakeChar(rest, '-') &&
               TakeNumber(rest, 2, utc.tm_mon) && TakeChar(rest, '-') &&
               TakeNumber(rest, 2, utc.tm_mday) && (TakeChar(rest, 'T') || TakeChar(rest, 't')) &&
               TakeNumber(rest, 2, utc.tm_hour) && TakeChar(rest, ':') &&
               TakeNumber(rest, 2, utc.tm_min) && TakeChar(rest, ':') &&
               TakeNumber(rest, 2, utc.tm_sec);
  if (valid && TakeChar(rest, '.')) {
    valid = TakeFraction(rest, fraction);
  }
  valid = valid && TakeOffset(rest, offset) && rest.empty() && IsDate(utc) && utc.tm_hour <= 23 &&
          utc.tm_min <= 59 && utc.tm_sec <= 60;
  if (!valid) {
    return InvalidArgument(fmt::format("\"{}\" is not an RFC 3339 time", text.substr(0, 64)));
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  return std::chrono::system_clock::from_time_t(timegm(&utc)) - offset +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(fraction);
}

std::string FormatGoDuration(std::chrono::nanoseconds duration) {
  const int64_t nanos = duration.count();
  if (nanos == 0) {
    return "0s";
  }
  if (nanos < 0) {
    return "-" + FormatGoDuration(-duration);
  }

  struct Unit {
    int64_t nanos;
    const char* name;
  };

  for (const Unit unit : std::array{Unit{1, "ns"}, Unit{1'000, "µs"}, Unit{1'000'000, "ms"}}) {
    if (nanos < unit.nanos * 1000) {
      return fmt::format("{:.12g}{}", static_cast<double>(nanos) / static_cast<double>(unit.nanos),
                         unit.name);
    }
  }
  const int64_t minutes = nanos / 60'000'000'000;
  const double rest = static_cast<double>(nanos % 60'000'000'000) / 1e9;
  if (minutes == 0) {
    return fmt::format("{:.12g}s", rest);
  }
  if (minutes < 60) {
    return fmt::format("{}m{:.12g}s", minutes, rest);
  }
  return fmt::format("{}h{}m{:.12g}s", minutes / 60, minutes % 60, rest);
}

}  // namespace farlet
