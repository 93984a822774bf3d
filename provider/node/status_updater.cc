#include "provider/node/status_updater.h"

#include "provider/node/node_patch.h"
#include "runtime/base/backoff.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace farlet::node {
namespace {

using kube::Json;

constexpr BackoffPolicy kRetry{.initial = milliseconds(200), .max = milliseconds(7000)};
constexpr milliseconds kCallDeadline(10'000);
constexpr seconds kLogInterval(60);

std::string MetaText(const Json& node, const char* member) {
  const auto meta = node.find("metadata");
  return meta != node.end() && meta->is_object() ? meta->value(member, "") : std::string();
}

// Whether `seen` is no news beside `known`: versions of one resource grow.
bool IsOlder(const Json& seen, const Json& known) {
  if (MetaText(seen, "uid") != MetaText(known, "uid")) {
    return false;
  }
  return std::strtoll(MetaText(seen, "resourceVersion").c_str(), nullptr, 10) <
         std::strtoll(MetaText(known, "resourceVersion").c_str(), nullptr, 10);
}

bool IsReady(const Json& node) {
  const Json conditions = node.value("/status/conditions"_json_pointer, Json::array());
  return std::any_of(conditions.begin(), conditions.end(), [](const Json& condition) {
    return condition.value("type", "") == "Ready" && condition.value("status", "") == "True";
  });
}

}  // namespace

class StatusUpdater::Impl : public std::enable_shared_from_this<StatusUpdater::Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       StatusUpdaterOptions options,
       Compute compute,
       OnWritten on_written)
      : client_(client),
        clock_(clock),
        timers_(timers),
        options_(std::move(options)),
        compute_(std::move(compute)),
        on_written_(std::move(on_written)) {}

  Gate& gate() { return gate_; }

  void SetNode(const NodePtr& node) {
    {
      const std::lock_guard lock(mutex_);
      if (node_ != nullptr && IsOlder(*node, *node_)) {
        return;
      }
      if (node_ == nullptr) {
        started_ = clock_.Now();
        // The object that was just created or adopted has a status of this moment, or of an agent
        // before us: the next look decides.
        last_write_ = clock_.Now();
      }
      node_ = node;
    }
    Poke();
  }

  // Hands over to the timer's thread, where the work is done.
  void Poke() {
    const std::lock_guard lock(mutex_);
    if (node_ == nullptr) {
      return;
    }
    if (busy_) {
      poked_ = true;
      return;
    }
    ScheduleLocked(milliseconds(0));
  }

  void Stop() {
    gate_.Close();
    const std::lock_guard lock(mutex_);
    if (timer_) {
      timers_.Cancel(*timer_);
    }
  }

  NodePtr node() const {
    const std::lock_guard lock(mutex_);
    return node_;
  }

 private:
  // Needs mutex_. The earlier of what is scheduled and this.
  void ScheduleLocked(milliseconds delay) {
    const SteadyTime due = clock_.Now() + delay;
    if (timer_) {
      if (due_ <= due) {
        return;
      }
      timers_.Cancel(*timer_);
    }
    due_ = due;
    timer_ = timers_.After(
        delay, [weak = weak_from_this()] { EnterStep(weak, [](Impl& self) { self.Look(); }); });
  }

  void Look() {
    NodePtr before;
    bool report = false;
    {
      const std::lock_guard lock(mutex_);
      timer_.reset();
      if (busy_) {
        poked_ = true;
        return;
      }
      busy_ = true;
      poked_ = false;
      before = node_;
      report = clock_.Now() - last_write_ >= report_interval_;
    }
    const Json after = compute_(*before);
    if (!report && !DiffersBesidesHeartbeat(*before, after)) {
      Done(milliseconds(0));
      return;
    }
    Write(before, NodePatch(*before, after));
  }

  void Write(const NodePtr& before, const Json& patch) {
    if (patch.is_null()) {
      Done(milliseconds(0));
      return;
    }
    const std::string path = kube::ResourcePath("v1", "nodes", {}, options_.node_name, "status");
    client_.Patch(path, kube::PatchType::kStrategicMerge, patch,
                  {.deadline = kCallDeadline, .retry = false},
                  [weak = weak_from_this(), before](Result<Json> answer) {
                    EnterStep(weak, [&](Impl& self) { self.OnAnswer(before, std::move(answer)); });
                  });
  }

  void OnAnswer(const NodePtr& before, Result<Json> answer) {
    if (!answer) {
      Failed(answer.error());
      return;
    }
    backoff_.Reset();
    if (std::exchange(failures_, 0) > 0) {
      log::Info("the node status is written again", {{"node", options_.node_name}});
    }
    const NodePtr after = std::make_shared<const Json>(*std::move(answer));
    {
      const std::lock_guard lock(mutex_);
      if (node_ == nullptr || !IsOlder(*after, *node_)) {
        node_ = after;
      }
      last_write_ = clock_.Now();
      std::uniform_real_distribution<double> share(0.5, 1.5);
      report_interval_ = milliseconds(static_cast<int64_t>(
          static_cast<double>(options_.report_interval.count()) * share(random_)));
    }
    on_written_(*before, *after);
    Done(milliseconds(0));
  }

  void Failed(const Error& error) {
    const SteadyTime now = clock_.Now();
    if (++failures_ == 1 || now - last_logged_ >= kLogInterval) {
      last_logged_ = now;
      log::Warning("cannot write the node status, trying again",
                   {{"node", options_.node_name}, {"failures", failures_}, {"error", error}});
    }
    Done(std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0))));
  }

  // `retry`: when to look again after a failure; 0: at the next regular time.
  void Done(milliseconds retry) {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    was_ready_ = was_ready_ || IsReady(*node_);
    if (retry.count() > 0) {
      ScheduleLocked(retry);
    } else if (poked_) {
      ScheduleLocked(milliseconds(0));
    } else if (!was_ready_ && clock_.Now() - started_ < options_.fast_window) {
      ScheduleLocked(options_.fast_interval);
    } else {
      std::uniform_real_distribution<double> share(1.0, 1.0 + options_.jitter);
      ScheduleLocked(milliseconds(
          static_cast<int64_t>(static_cast<double>(options_.interval.count()) * share(random_))));
    }
  }

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const StatusUpdaterOptions options_;
  const Compute compute_;
  const OnWritten on_written_;
  Gate gate_;

  // Used by the one step that is running.
  Backoff backoff_{kRetry};
  int failures_ = 0;
  SteadyTime last_logged_;

  mutable std::mutex mutex_;  // guards all below
  NodePtr node_;
  bool busy_ = false;   // computing or writing
  bool poked_ = false;  // while busy
  bool was_ready_ = false;
  SteadyTime started_;
  SteadyTime last_write_;
  milliseconds report_interval_ = options_.report_interval;
  std::minstd_rand random_{std::random_device{}()};
  std::optional<TimerService::Id> timer_;
  SteadyTime due_;
};

StatusUpdater::StatusUpdater(kube::Client& client,
                             const Clock& clock,
                             TimerService& timers,
                             StatusUpdaterOptions options,
                             Compute compute,
                             OnWritten on_written)
    : impl_(std::make_shared<Impl>(
          client, clock, timers, std::move(options), std::move(compute), std::move(on_written))) {}

StatusUpdater::~StatusUpdater() {
  impl_->Stop();
}

void StatusUpdater::SetNode(const NodePtr& node) {
  impl_->SetNode(node);
}

void StatusUpdater::Poke() {
  impl_->Poke();
}

void StatusUpdater::Stop() {
  impl_->Stop();
}

StatusUpdater::NodePtr StatusUpdater::node() const {
  return impl_->node();
}

}  // namespace farlet::node
