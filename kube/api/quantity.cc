#include "kube/api/quantity.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

namespace farlet::kube {
namespace {

__extension__ using Wide = unsigned __int128;

// More digits than this carry no meaning in an int64 of thousandths.
constexpr size_t kMaxDigits = 36;
constexpr size_t kMaxText = 128;

struct Number {
  Wide mantissa = 0;
  int exponent = 0;  // of ten
  bool negative = false;
};

struct Suffix {
  std::string_view text;
  int power_of_ten = 0;
  int power_of_two = 0;
};

constexpr std::array kSuffixes{
    Suffix{"", 0, 0},    Suffix{"n", -9, 0},  Suffix{"u", -6, 0},  Suffix{"m", -3, 0},
    Suffix{"k", 3, 0},   Suffix{"M", 6, 0},   Suffix{"G", 9, 0},   Suffix{"T", 12, 0},
    Suffix{"P", 15, 0},  Suffix{"E", 18, 0},  Suffix{"Ki", 0, 10}, Suffix{"Mi", 0, 20},
    Suffix{"Gi", 0, 30}, Suffix{"Ti", 0, 40}, Suffix{"Pi", 0, 50}, Suffix{"Ei", 0, 60},
};

Error Malformed(std::string_view text) {
  return InvalidArgument(fmt::format("\"{}\" is not a quantity", text.substr(0, kMaxText)));
}

Error TooLarge(std::string_view text) {
  return MakeError(Code::kOutOfRange, fmt::format("quantity \"{}\" is too large", text));
}

// Takes sign, digits and fraction from the front of `rest`; nullopt when there is no digit.
std::optional<Number> TakeNumber(std::string_view& rest) {
  Number number;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    number.negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  bool any_digit = false;
  bool fraction = false;
  size_t digits = 0;
  while (!rest.empty()) {
    const char c = rest.front();
    if (c == '.' && !fraction) {
      fraction = true;
    } else if (c >= '0' && c <= '9') {
      any_digit = true;
      digits += digits > 0 || c != '0' ? 1 : 0;
      if (digits > kMaxDigits) {
        return std::nullopt;
      }
      number.mantissa = number.mantissa * 10 + static_cast<unsigned>(c - '0');
      number.exponent -= fraction ? 1 : 0;
    } else {
      break;
    }
    rest.remove_prefix(1);
  }
  return any_digit ? std::optional(number) : std::nullopt;
}

// What stands behind the number: one of the suffixes or "e3" / "E-3".
std::optional<Suffix> ParseSuffix(std::string_view text) {
  for (const Suffix& suffix : kSuffixes) {
    if (text == suffix.text) {
      return suffix;
    }
  }
  if (text.size() < 2 || (text.front() != 'e' && text.front() != 'E')) {
    return std::nullopt;
  }
  text.remove_prefix(text[1] == '+' ? 2 : 1);
  int exponent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
  if (error != std::errc() || end != text.data() + text.size() || exponent > 100 ||
      exponent < -100) {
    return std::nullopt;
  }
  return Suffix{.text = {}, .power_of_ten = exponent};
}

// mantissa × 10^ten × 2^two, rounded up; nullopt when it does not fit.
std::optional<int64_t> Scale(Wide mantissa, int ten, int two) {
  if (mantissa == 0) {
    return 0;
  }
  if (__builtin_mul_overflow(mantissa, Wide{1} << two, &mantissa)) {
    return std::nullopt;
  }
  for (; ten > 0; --ten) {
    if (__builtin_mul_overflow(mantissa, Wide{10}, &mantissa)) {
      return std::nullopt;
    }
  }
  bool remainder = false;
  for (; ten < 0 && mantissa > 0; ++ten) {
    remainder = remainder || mantissa % 10 != 0;
    mantissa /= 10;
  }
  mantissa += remainder ? 1 : 0;
  if (mantissa > static_cast<Wide>(std::numeric_limits<int64_t>::max())) {
    return std::nullopt;
  }
  return static_cast<int64_t>(mantissa);
}

}  // namespace

Result<Quantity> Quantity::Parse(std::string_view text) {
  if (text.size() > kMaxText) {
    return Malformed(text);
  }
  std::string_view rest = text;
  const std::optional<Number> number = TakeNumber(rest);
  if (!number) {
    return Malformed(text);
  }
  const std::optional<Suffix> suffix = ParseSuffix(rest);
  if (!suffix) {
    return Malformed(text);
  }
  constexpr int kMilli = 3;
  const std::optional<int64_t> milli = Scale(
      number->mantissa, number->exponent + suffix->power_of_ten + kMilli, suffix->power_of_two);
  if (!milli) {
    return TooLarge(text);
  }
  return FromMilli(number->negative ? -*milli : *milli);
}

}  // namespace farlet::kube
