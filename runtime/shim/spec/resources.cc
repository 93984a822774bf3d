#include "runtime/shim/spec/resources.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::shim {
namespace {

constexpr uint64_t kMinShares = 2;
constexpr uint64_t kMaxShares = 262144;
constexpr uint64_t kMaxWeight = 10000;

// -1 (and below) is "unlimited" in both worlds.
int64_t Limit(int64_t value) {
  return std::max<int64_t>(value, -1);
}

void TranslateCpu(const Cursor& cpu, guest::v1::Resources& to) {
  if (const auto quota = cpu["quota"].Integer(); quota && *quota != 0) {
    to.set_cpu_quota_us(Limit(*quota));
  }
  if (const uint64_t period = cpu["period"].Unsigned(); period != 0) {
    to.set_cpu_period_us(period);
  }
  if (const uint64_t shares = cpu["shares"].Unsigned(); shares != 0) {
    to.set_cpu_weight(WeightOfShares(shares));
  }
}

void TranslateMemory(const Cursor& memory, guest::v1::Resources& to) {
  const int64_t limit = memory["limit"].Integer().value_or(0);
  if (limit != 0) {
    to.set_memory_max(Limit(limit));
  }
  if (const int64_t low = memory["reservation"].Integer().value_or(0); low != 0) {
    to.set_memory_low(Limit(low));
  }
  // v1 counts swap together with memory.
  const int64_t both = memory["swap"].Integer().value_or(0);
  if (both < 0) {
    to.set_memory_swap_max(-1);
  } else if (both > 0 && limit > 0) {
    if (both < limit) {
      memory["swap"].Refuse("smaller than the memory limit");
    } else {
      to.set_memory_swap_max(both - limit);
    }
  }
}

}  // namespace

uint64_t WeightOfShares(uint64_t shares) {
  const uint64_t bounded = std::clamp(shares, kMinShares, kMaxShares);
  return 1 + (bounded - kMinShares) * (kMaxWeight - 1) / (kMaxShares - kMinShares);
}

guest::v1::Resources TranslateResources(const Cursor& resources) {
  guest::v1::Resources to;
  TranslateCpu(resources["cpu"], to);
  TranslateMemory(resources["memory"], to);
  if (const int64_t pids = resources["pids"]["limit"].Integer().value_or(0); pids != 0) {
    to.set_pids_max(Limit(pids));
  }
  resources["unified"].EachMember([&](const std::string& key, const Cursor& value) {
    if (!key.starts_with("cpuset.")) {
      (*to.mutable_unified())[key] = value.Text();
    }
  });
  return to;
}

}  // namespace farlet::shim
