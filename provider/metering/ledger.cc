#include "provider/metering/ledger.h"

#include "runtime/base/log.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace farlet::metering {
namespace {

// At which the journal becomes part of the snapshot: some hundreds of pods' lives.
constexpr size_t kLongJournal = size_t{2} << 20;

size_t CountEnded(const LedgerState& state) {
  return static_cast<size_t>(std::count_if(state.runs.begin(), state.runs.end(),
                                           [](const auto& item) { return item.second.end; }));
}

// The last that is known of a run of which nobody can be asked any more.
WallTime LastKnown(const PodRun& run, WallTime now) {
  std::optional<WallTime> last = run.alive;
  for (const auto& moment : run.moments) {
    last = std::max(last, moment);
  }
  return std::min(last.value_or(now), now);
}

}  // namespace

Ledger::Ledger(std::filesystem::path folder, const Clock& clock, Limits limits)
    : clock_(clock), limits_(limits), journal_(std::move(folder)) {
  const std::lock_guard lock(mutex_);
  Load();
}

void Ledger::Load() {
  const Status loaded = journal_.Load(
      [this](const nlohmann::json& json) -> Status {
        FARLET_ASSIGN(state_, StateFromJson(json));
        return {};
      },
      [this](const nlohmann::json& json) { return Apply(json, state_); }, clock_.WallNow());
  if (!loaded) {
    log::Error("cannot read the metering ledger", {{"error", loaded.error()}});
  }
  Compact();
}

// Into the state and onto the disk.
void Ledger::Write(const nlohmann::json& entry) {
  const Status appended = journal_.Append(entry);
  if (!appended && !std::exchange(unsaved_, true)) {
    log::Error("cannot write to the metering ledger, it goes on in memory",
               {{"error", appended.error()}});
  }
  dirty_ = true;
  if (const Status applied = Apply(entry, state_); !applied) {
    log::Error("the metering ledger refuses an entry", {{"error", applied.error()}});
  }
  if (journal_.bytes() > kLongJournal) {
    Compact();
  }
}

void Ledger::Compact() {
  Fold(state_, limits_, clock_.WallNow());
  ended_ = CountEnded(state_);
  const Status written = journal_.Compact(StateToJson(state_));
  if (written) {
    unsaved_ = false;
  } else if (!std::exchange(unsaved_, true)) {
    log::Error("cannot write the metering ledger, it goes on in memory",
               {{"error", written.error()}});
  }
}

PodRun* Ledger::FindOpen(const std::string& uid) {
  const auto run = state_.runs.find(uid);
  return run == state_.runs.end() || run->second.end ? nullptr : &run->second;
}

void Ledger::Begin(PodRun run) {
  const std::lock_guard lock(mutex_);
  if (state_.Knows(run.uid)) {
    return;
  }
  run.grouped = TooManyGroups(state_, GroupOf(run), limits_);
  Write(RunEntry(run));
}

bool Ledger::Knows(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  return state_.Knows(uid);
}

bool Ledger::Starting(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  const auto run = state_.runs.find(uid);
  return run != state_.runs.end() && !run->second.end && !run->second.at(Moment::kStarted);
}

void Ledger::Note(const std::string& uid, Moment moment, WallTime when) {
  const std::lock_guard lock(mutex_);
  const PodRun* open = FindOpen(uid);
  if (open == nullptr) {
    return;
  }
  const bool again = moment == Moment::kImageReady && !open->at(Moment::kStarted);
  if (open->at(moment) && !again) {
    return;
  }
  PodRun run = *open;
  run.at(moment) = when;
  Write(RunEntry(run));
}

void Ledger::NotePull(const std::string& uid, std::chrono::nanoseconds pull) {
  const std::lock_guard lock(mutex_);
  const PodRun* open = FindOpen(uid);
  if (open != nullptr && !open->at(Moment::kStarted) && open->pull != pull) {
    PodRun run = *open;
    run.pull = pull;
    Write(RunEntry(run));
  }
}

void Ledger::Saw(const std::string& uid) {
  const std::lock_guard lock(mutex_);
  if (FindOpen(uid) != nullptr) {
    seen_.insert(uid);
  }
}

void Ledger::EndLocked(const std::string& uid, WallTime when) {
  const PodRun* open = FindOpen(uid);
  if (open == nullptr || !open->begin()) {
    return;
  }
  PodRun run = *open;
  run.end = std::max(when, *run.begin());
  if (run.alive) {
    run.alive = std::min(*run.alive, *run.end);
  }
  Write(RunEntry(run));
  seen_.erase(uid);
  if (++ended_ > limits_.runs) {
    Compact();
  }
}

void Ledger::End(const std::string& uid, WallTime when) {
  const std::lock_guard lock(mutex_);
  EndLocked(uid, when);
}

void Ledger::GoneLocked(const std::string& uid, WallTime when) {
  EndLocked(uid, when);
  const auto run = state_.runs.find(uid);
  if (run != state_.runs.end() && !run->second.end) {
    Write(DropEntry(uid));
  } else if (run != state_.runs.end() ? !run->second.gone : state_.counted.contains(uid)) {
    Write(GoneEntry(uid));
  }
}

void Ledger::Gone(const std::string& uid, WallTime when) {
  const std::lock_guard lock(mutex_);
  GoneLocked(uid, when);
}

// Those of which something should be there and that are missing for the second time. A pod may be
// missing once: between its arrival and the first round of work on it.
std::set<std::string> Ledger::TakeMissing(const std::set<std::string>& present) {
  std::set<std::string> now;
  std::set<std::string> twice;
  const auto look = [&](const std::string& uid) {
    if (!present.contains(uid)) {
      (missing_.contains(uid) ? twice : now).insert(uid);
    }
  };
  for (const auto& [uid, run] : state_.runs) {
    if (!run.gone) {
      look(uid);
    }
  }
  for (const std::string& uid : state_.counted) {
    look(uid);
  }
  missing_ = std::move(now);
  return twice;
}

void Ledger::Tick(WallTime until, const std::set<std::string>& present) {
  const std::lock_guard lock(mutex_);
  bool alive = false;
  std::set<std::string> except;
  for (const auto& [uid, run] : state_.runs) {
    if (run.end) {
      continue;
    }
    if (seen_.contains(uid) && present.contains(uid) && run.begin() && *run.begin() < until) {
      alive = true;
    } else {
      except.insert(uid);
    }
  }
  if (alive) {
    Write(AliveEntry(until, except));
  }
  for (const std::string& uid : TakeMissing(present)) {
    const PodRun* open = FindOpen(uid);
    GoneLocked(uid, open == nullptr ? until : LastKnown(*open, clock_.WallNow()));
  }
  if (unsaved_) {
    Compact();
  }
}

void Ledger::Sync() {
  UniqueFd fd;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(dirty_, false)) {
      return;
    }
    fd = journal_.DuplicateForSync();
  }
  if (fd.valid() && ::fdatasync(fd.get()) != 0) {
    log::Warning("cannot bring the metering ledger to the disk",
                 {{"error", ErrnoError(errno, "fdatasync")}});
  }
}

std::map<Group, GroupTotal> Ledger::Counters() const {
  const std::lock_guard lock(mutex_);
  std::map<Group, GroupTotal> totals;
  for (const auto& [key, sum] : state_.folded) {
    GroupTotal& total = totals[key.group];
    total.charge += sum.charge;
    total.pods += sum.pods;
  }
  for (const auto& [uid, run] : state_.runs) {
    if (!run.begin()) {
      continue;
    }
    GroupTotal& total = totals[GroupOf(run)];
    total.charge += ChargeOf(run, run.alive.value_or(*run.begin()));
    ++(run.end ? total.pods : total.running);
  }
  return totals;
}

Report Ledger::MakeReport(const CostQuery& query) const {
  const std::lock_guard lock(mutex_);
  return metering::MakeReport(state_, query, clock_.WallNow());
}

}  // namespace farlet::metering
