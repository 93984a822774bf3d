#include "provider/fargate/metering.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace farlet::fargate {
namespace {

__extension__ using Wide = __int128;

constexpr seconds kLeast{60};
constexpr int64_t kSecondsPerHour = 3600;
constexpr int64_t kMiPerGi = 1024;
constexpr int64_t kBillion = 1'000'000'000;

Result<int64_t> Digits(std::string_view text, std::string_view whole) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 0 ||
      text.front() == '-') {
    return InvalidArgument(fmt::format("\"{}\" is not a rate (like 0.04048)", whole.substr(0, 64)));
  }
  return number;
}

}  // namespace

Result<int64_t> ParseRate(std::string_view text) {
  constexpr size_t kDecimals = 9;
  const size_t point = std::min(text.find('.'), text.size());
  FARLET_ASSIGN(const int64_t whole, Digits(text.substr(0, point), text));
  int64_t billionths = 0;
  if (point < text.size()) {
    std::string decimals(text.substr(point + 1));
    FARLET_ASSIGN(billionths, Digits(decimals, text));
    if (decimals.size() > kDecimals) {
      return InvalidArgument(fmt::format("\"{}\" has more than nine decimals", text.substr(0, 64)));
    }
    for (size_t i = decimals.size(); i < kDecimals; ++i) {
      billionths *= 10;
    }
  }
  if (whole > 1'000'000) {
    return InvalidArgument(fmt::format("\"{}\" is more than a million", text.substr(0, 64)));
  }
  return whole * kBillion + billionths;
}

seconds BilledTime(std::chrono::nanoseconds run) {
  return std::max(std::chrono::ceil<seconds>(run), kLeast);
}

Usage& Usage::operator+=(const Usage& other) {
  milli_cpu_seconds += other.milli_cpu_seconds;
  mebibyte_seconds += other.mebibyte_seconds;
  storage_gib_seconds += other.storage_gib_seconds;
  return *this;
}

Usage UsageOf(const Configuration& provisioned, Bytes storage, seconds billed) {
  const int64_t paid = std::max<int64_t>(0, storage.value - kDefaultStorage.value);
  return {.milli_cpu_seconds = provisioned.cpu.value * billed.count(),
          .mebibyte_seconds = provisioned.memory.value / kMi * billed.count(),
          .storage_gib_seconds = (paid + kGi - 1) / kGi * billed.count()};
}

int64_t CostOf(const Usage& usage, const Rates& rates) {
  // Over the common denominator of all three, in billionths.
  const Wide numerator = Wide{usage.milli_cpu_seconds} * rates.vcpu * kMiPerGi +
                         Wide{usage.mebibyte_seconds} * rates.gigabyte * 1000 +
                         Wide{usage.storage_gib_seconds} * rates.storage * 1000 * kMiPerGi;
  const Wide denominator = Wide{kSecondsPerHour} * 1000 * kMiPerGi;
  return static_cast<int64_t>((numerator * 10 + denominator / 2) / denominator);
}

std::string CostText(int64_t cost) {
  constexpr int64_t kOne = 10 * kBillion;
  return fmt::format("{}.{:010}", cost / kOne, cost % kOne);
}

}  // namespace farlet::fargate
