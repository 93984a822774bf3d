#include "runtime/cri/runtime_health.h"

#include "runtime/base/gate.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace farlet::cri {
namespace {

constexpr seconds kPollWhenWell{5};
constexpr seconds kPollWhenIll{1};

bool SameOutside(const RuntimeHealthState& a, const RuntimeHealthState& b) {
  return a.reachable == b.reachable && a.version == b.version && a.status == b.status;
}

bool Holds(const RuntimeHealthState& state, const std::string& type) {
  const RuntimeCondition* condition = state.Find(type);
  return state.reachable && condition != nullptr && condition->status;
}

}  // namespace

const RuntimeCondition* RuntimeHealthState::Find(const std::string& type) const {
  const auto found =
      std::find_if(status.conditions.begin(), status.conditions.end(),
                   [&](const RuntimeCondition& condition) { return condition.type == type; });
  return found == status.conditions.end() ? nullptr : &*found;
}

bool RuntimeHealthState::RuntimeReady() const {
  return Holds(*this, "RuntimeReady");
}

bool RuntimeHealthState::NetworkReady() const {
  return Holds(*this, "NetworkReady");
}

std::string RuntimeHealthState::Problem() const {
  if (!reachable) {
    return error.empty() ? "container runtime was not asked yet" : error;
  }
  std::string problem;
  for (const char* type : {"RuntimeReady", "NetworkReady"}) {
    if (Holds(*this, type)) {
      continue;
    }
    const RuntimeCondition* condition = Find(type);
    problem += problem.empty() ? "" : "; ";
    problem += condition == nullptr ? std::string("container runtime does not report ") + type
                                    : std::string(type) + "=false reason:" + condition->reason +
                                          " message:" + condition->message;
  }
  return problem;
}

class RuntimeHealth::Impl {
 public:
  Impl(Client& client, const Clock& clock, TimerService& timers, Listener listener)
      : client_(client), clock_(clock), timers_(timers), listener_(std::move(listener)) {}

  ~Impl() { gate_->Close(); }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void Poll() {
    client_.Status([this, gate = gate_](Result<RuntimeStatus> answer) {
      if (const auto pass = gate->Enter()) {
        OnStatus(std::move(answer));
      }
    });
  }

  RuntimeHealthState State() const {
    const std::lock_guard lock(mutex_);
    return state_;
  }

 private:
  void OnStatus(Result<RuntimeStatus> answer) {
    if (!answer) {
      RuntimeHealthState next = State();
      next.reachable = false;
      next.error = std::move(answer).error().message;
      Publish(std::move(next));
      return;
    }
    // A runtime that came back may be another one.
    if (State().reachable) {
      OnAnswers(std::move(*answer), State().version);
      return;
    }
    client_.Version(
        [this, gate = gate_, status = std::move(*answer)](Result<RuntimeVersion> version) mutable {
          const auto pass = gate->Enter();
          if (!pass) {
            return;
          }
          if (version) {
            OnAnswers(std::move(status), std::move(*version));
          } else {
            OnStatus(std::move(version).error());
          }
        });
  }

  void OnAnswers(RuntimeStatus status, RuntimeVersion version) {
    Publish({.reachable = true,
             .last_good = clock_.Now(),
             .version = std::move(version),
             .status = std::move(status)});
  }

  void Publish(RuntimeHealthState next) {
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = !told_ || !SameOutside(state_, next);
      told_ = true;
      state_ = next;
    }
    const bool well = next.RuntimeReady() && next.NetworkReady();
    if (changed && listener_) {
      listener_(next);
    }
    timers_.After(well ? kPollWhenWell : kPollWhenIll, [this, gate = gate_] {
      if (const auto pass = gate->Enter()) {
        Poll();
      }
    });
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const Listener listener_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  mutable std::mutex mutex_;  // guards all below
  RuntimeHealthState state_;
  bool told_ = false;
};

RuntimeHealth::RuntimeHealth(Client& client,
                             const Clock& clock,
                             TimerService& timers,
                             Listener listener)
    : impl_(std::make_unique<Impl>(client, clock, timers, std::move(listener))) {}

RuntimeHealth::~RuntimeHealth() = default;

void RuntimeHealth::Start() {
  impl_->Poll();
}

RuntimeHealthState RuntimeHealth::State() const {
  return impl_->State();
}

}  // namespace farlet::cri
