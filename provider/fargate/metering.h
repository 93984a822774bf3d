#pragma once

#include "provider/fargate/sizing.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

// What a pod costs, by AWS's published formula. Exact: no floating point. All functions are pure.
namespace farlet::fargate {

// Billionths of a dollar (or whatever currency) for one unit and hour.
struct Rates {
  int64_t vcpu = 40'480'000;     // 0.04048, us-east-1, Linux on x86
  int64_t gigabyte = 4'445'000;  // 0.004445
  int64_t storage = 111'000;     // 0.000111 a GB above the 20 that are free

  bool operator==(const Rates&) const = default;
};

// "0.04048" → 40'480'000. kInvalidArgument for what is no such number, is negative, larger than a
// million, or has more than nine decimals.
Result<int64_t> ParseRate(std::string_view text);

// What is billed for a run from the start of the image pull to the end: whole seconds, rounded up,
// at least a minute.
seconds BilledTime(std::chrono::nanoseconds run);

// Resource times time, of one pod or many. Sums of these are exact, so that neither the order nor a
// restart between two of them matters.
struct Usage {
  int64_t milli_cpu_seconds = 0;
  int64_t mebibyte_seconds = 0;
  int64_t storage_gib_seconds = 0;  // above the free ones

  Usage& operator+=(const Usage& other);
  bool operator==(const Usage&) const = default;
};

Usage UsageOf(const Configuration& provisioned, Bytes storage, seconds billed);

// In units of 10⁻¹⁰, as AWS's bills have them; rounded to the nearest.
int64_t CostOf(const Usage& usage, const Rates& rates);

// 2'091'368 → "0.0002091368".
std::string CostText(int64_t cost);

}  // namespace farlet::fargate
