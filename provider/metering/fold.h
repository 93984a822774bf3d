#pragma once

#include "provider/metering/ledger_state.h"

namespace farlet::metering {

// How much the ledger keeps.
struct Limits {
  size_t runs = 2000;             // ended ones, each by itself
  std::chrono::days keep{35};     // and so long
  std::chrono::days by_day{400};  // sums by day; what is older becomes one sum for each group
  size_t groups = 1000;           // namespaces × profiles, which are the series of the metrics
};

// Folds ended runs into the sums of their groups and days: those that are too old, and, when there
// are more than may be, the oldest, down to three quarters of that, so that it pays. A run of
// several days is cut at midnight (UTC). Pure but for the state.
void Fold(LedgerState& state, const Limits& limits, WallTime now);

// Whether a run of this group would be one group too many.
bool TooManyGroups(const LedgerState& state, const Group& group, const Limits& limits);

// The day on which all that was before `Limits::by_day` is summed up.
inline constexpr Day kBeforeAll{std::chrono::days(0)};

}  // namespace farlet::metering
