#include "provider/metering/fold.h"

#include <algorithm>
#include <vector>

namespace farlet::metering {
namespace {

Day DayOf(WallTime time) {
  return std::chrono::floor<std::chrono::days>(time);
}

void FoldRun(const PodRun& run, Day oldest, LedgerState& state) {
  const WallTime end = *run.end;
  const Group group = GroupOf(run);
  const auto add = [&](Day day, Charge charge, const Charge& before) {
    charge -= before;
    state.folded[{.group = group, .day = day}].charge += charge;
  };
  Charge before;
  if (run.begin().value_or(end) < oldest) {
    before = ChargeBefore(run, oldest, end);
    add(kBeforeAll, before, {});
  }
  const Day last = std::max(DayOf(end), oldest);
  for (Day day = std::max(DayOf(run.begin().value_or(end)), oldest); day <= last;
       day += std::chrono::days(1)) {
    const Charge now = ChargeBefore(run, day + std::chrono::days(1), end);
    add(day, now, before);
    before = now;
  }
  ++state.folded[{.group = group, .day = last}].pods;
}

void FoldDays(Day oldest, LedgerState& state) {
  for (auto it = state.folded.begin(); it != state.folded.end();) {
    if (it->first.day >= oldest || it->first.day == kBeforeAll) {
      ++it;
      continue;
    }
    Folded& all = state.folded[{.group = it->first.group, .day = kBeforeAll}];
    all.charge += it->second.charge;
    all.pods += it->second.pods;
    it = state.folded.erase(it);
  }
}

}  // namespace

void Fold(LedgerState& state, const Limits& limits, WallTime now) {
  std::vector<const PodRun*> ended;
  for (const auto& [uid, run] : state.runs) {
    if (run.end) {
      ended.push_back(&run);
    }
  }
  std::sort(ended.begin(), ended.end(),
            [](const PodRun* a, const PodRun* b) { return *a->end < *b->end; });
  const size_t surplus =
      ended.size() > limits.runs ? ended.size() - limits.runs / 4 * 3 : size_t{0};
  const Day oldest = DayOf(now) - limits.by_day;
  for (size_t i = 0; i < ended.size(); ++i) {
    if (i >= surplus && *ended[i]->end >= now - limits.keep) {
      break;
    }
    FoldRun(*ended[i], oldest, state);
    if (!ended[i]->gone) {
      state.counted.insert(ended[i]->uid);
    }
    state.runs.erase(state.runs.find(ended[i]->uid));
  }
  FoldDays(oldest, state);
}

bool TooManyGroups(const LedgerState& state, const Group& group, const Limits& limits) {
  std::set<Group> groups;
  for (const auto& [key, sum] : state.folded) {
    groups.insert(key.group);
  }
  for (const auto& [uid, run] : state.runs) {
    groups.insert(GroupOf(run));
  }
  return groups.size() >= limits.groups && !groups.contains(group);
}

}  // namespace farlet::metering
