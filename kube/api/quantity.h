#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace farlet::kube {

// resource.Quantity: a number with a decimal (m, k, M, …), binary (Ki, Mi, …) or exponent suffix,
// held exactly in thousandths as far as int64 goes (enough for 9 PB in milli-bytes; beyond:
// kOutOfRange).
class Quantity {
 public:
  Quantity() = default;

  static Quantity FromMilli(int64_t milli) { return Quantity(milli); }

  static Result<Quantity> Parse(std::string_view text);

  // 500m → 500.
  int64_t milli() const { return milli_; }

  // Rounded up, as the kubelet does: 500m → 1.
  int64_t value() const { return milli_ / 1000 + (milli_ % 1000 > 0 ? 1 : 0); }

  bool is_zero() const { return milli_ == 0; }

  auto operator<=>(const Quantity&) const = default;

 private:
  explicit Quantity(int64_t milli) : milli_(milli) {}

  int64_t milli_ = 0;
};

}  // namespace farlet::kube
