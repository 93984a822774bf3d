#include "provider/app/pod_meter.h"

#include "provider/app/run_facts.h"
#include "runtime/base/log.h"

#include <utility>

namespace farlet::app {
namespace {

using metering::Moment;
using pod::PodMoment;
using pod::PodStage;

// How much a machine that loses its power may lose.
constexpr seconds kSync{1};
constexpr int kSyncsPerTick = 30;
// What ran so long ago has run: an end that the runtime has not told yet is younger.
constexpr seconds kCertain{5};

}  // namespace

PodMeter::PodMeter(metering::Ledger& ledger, const Clock& clock, Options options)
    : ledger_(ledger), clock_(clock), options_(std::move(options)) {}

PodMeter::~PodMeter() {
  Stop();
}

void PodMeter::Start(std::function<std::optional<std::set<std::string>>()> present) {
  present_ = std::move(present);
  thread_ = std::thread([this] { Run(); });
}

void PodMeter::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void PodMeter::Run() {
  for (int round = 1;; ++round) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kSync, [this] { return stopping_; })) {
        break;
      }
    }
    if (round % kSyncsPerTick == 0) {
      const WallTime until = clock_.WallNow() - kCertain;
      if (const auto present = present_()) {
        ledger_.Tick(until, *present);
      }
    }
    ledger_.Sync();
  }
  ledger_.Sync();
}

// True when the ledger has a run of this pod.
bool PodMeter::Begin(const kube::Pod& pod) {
  if (ledger_.Knows(pod.meta.uid)) {
    return true;
  }
  if (!IsMetered(pod, options_.names)) {
    return false;
  }
  auto run = NewRun(pod, options_.names, options_.rates);
  if (run) {
    ledger_.Begin(std::move(*run));
    return true;
  }
  const std::lock_guard lock(mutex_);
  if (without_size_.insert(pod.meta.uid).second) {
    log::Warning("a pod of a Fargate profile is not metered",
                 {{"pod", pod.Format()}, {"error", run.error()}});
  }
  return false;
}

void PodMeter::NotePull(const std::string& uid, bool begun, WallTime when) {
  std::chrono::nanoseconds whole{0};
  {
    const std::lock_guard lock(mutex_);
    if (!begun && !pulling_.contains(uid)) {
      return;
    }
    Pulling& pulling = pulling_[uid];
    if (begun) {
      pulling.since = pulling.open++ == 0 ? when : pulling.since;
      return;
    }
    if (--pulling.open > 0) {
      return;
    }
    pulling.open = 0;
    pulling.before += when - pulling.since;
    whole = pulling.before;
  }
  ledger_.NotePull(uid, whole);
}

void PodMeter::OnMoment(const kube::Pod& pod, PodMoment moment, WallTime when) {
  if (!Begin(pod)) {
    return;
  }
  const std::string& uid = pod.meta.uid;
  switch (moment) {
    case PodMoment::kSandboxBegun:
      ledger_.Note(uid, Moment::kSandboxBegun, when);
      break;
    case PodMoment::kSandboxReady:
      ledger_.Note(uid, Moment::kSandboxReady, when);
      break;
    case PodMoment::kImageBegun:
      ledger_.Note(uid, Moment::kImageBegun, when);
      break;
    case PodMoment::kImageReady:
      ledger_.Note(uid, Moment::kImageReady, when);
      break;
    case PodMoment::kImageFailed:
      break;
  }
  if (moment != PodMoment::kSandboxBegun && moment != PodMoment::kSandboxReady &&
      ledger_.Starting(uid)) {
    NotePull(uid, moment == PodMoment::kImageBegun, when);
  }
}

void PodMeter::OnView(const pod::PodView& view, PodStage stage, WallTime when) {
  const kube::Pod& pod = *view.pod;
  const std::string& uid = pod.meta.uid;
  if (stage == PodStage::kRunning) {
    // One that runs and is not known: the ledger is younger than the pod, or was lost.
    const std::optional<WallTime> begin = BeginOf(view);
    if (begin && Begin(pod)) {
      ledger_.Note(uid, Moment::kImageBegun, *begin);
    }
    if (!ledger_.Knows(uid)) {
      return;
    }
    ledger_.Saw(uid);
    if (const auto started = StartedOf(view); started && ledger_.Starting(uid)) {
      ledger_.Note(uid, Moment::kStarted, *started);
    }
    if (const auto ready = ReadyOf(view, when)) {
      ledger_.Note(uid, Moment::kReady, *ready);
    }
    return;
  }
  if (!ledger_.Knows(uid)) {
    return;  // refused, or counted before this ledger was made
  }
  // Of a pod that was never seen while it ran: the first view of it was its end.
  if (const auto started = StartedOf(view)) {
    ledger_.Note(uid, Moment::kStarted, *started);
  }
  if (const auto end = EndOf(view, stage, when)) {
    ledger_.End(uid, *end);
  }
}

void PodMeter::OnGone(const std::string& uid, WallTime when) {
  {
    const std::lock_guard lock(mutex_);
    pulling_.erase(uid);
    without_size_.erase(uid);
  }
  ledger_.Gone(uid, when);
}

}  // namespace farlet::app
