#include "runtime/cri/runtime_cache_impl.h"

#include <algorithm>
#include <utility>

namespace farlet::cri {
namespace {

using Kind = RuntimeEvent::Kind;

constexpr seconds kRememberEarlyExits{60};
constexpr size_t kMaxEarlyExits = 4096;
// An out-of-memory kill that does not end the container leaves nothing to wait for.
constexpr seconds kOutOfMemoryRecheck{2};

}  // namespace

void RuntimeCache::Impl::OnEvent(const EventNotice& notice) {
  if (std::holds_alternative<EventsResumed>(notice)) {
    SetEventsUp(true);
  } else if (std::holds_alternative<EventsLost>(notice)) {
    SetEventsUp(false);
  } else {
    OnRuntimeEvent(std::get<RuntimeEvent>(notice));
  }
}

void RuntimeCache::Impl::SetEventsUp(bool up) {
  bool started = false;
  {
    const std::lock_guard lock(mutex_);
    events_up_ = up;
    started = started_;
  }
  if (up && started) {
    Relist([](const Status&) {});
  } else {
    ScheduleRelist();
  }
}

void RuntimeCache::Impl::OnRuntimeEvent(const RuntimeEvent& event) {
  // Whoever starts a container learns of it by its own call; the relist sees the starts of others.
  if (event.kind == Kind::kStarted) {
    return;
  }
  bool read = false;
  {
    const std::lock_guard lock(mutex_);
    if (store_.Find(event.id)) {
      read = Announce(event.id, event.kind);
    } else {
      RememberEarlyExit(event.id, event.kind);
    }
  }
  if (read) {
    ReadOne(event.id);
  }
}

void RuntimeCache::Impl::RememberEarlyExit(const std::string& id, Kind kind) {
  const SteadyTime now = clock_.Now();
  if (early_exits_.size() >= kMaxEarlyExits) {
    std::erase_if(early_exits_,
                  [&](const auto& item) { return now - item.second.time > kRememberEarlyExits; });
  }
  if (early_exits_.size() < kMaxEarlyExits) {
    early_exits_[id] = {.time = now, .kind = kind};
  }
}

bool RuntimeCache::Impl::TakeEarlyExit(const std::string& id) {
  const auto early = early_exits_.find(id);
  if (early == early_exits_.end()) {
    return false;
  }
  const Kind kind = early->second.kind;
  early_exits_.erase(early);
  return store_.Find(id) && Announce(id, kind);
}

bool RuntimeCache::Impl::Announce(const std::string& id, Kind kind) {
  Recheck& recheck = rechecks_[id];
  recheck.stopped = recheck.stopped || kind == Kind::kStopped;
  recheck.deleted = recheck.deleted || kind == Kind::kDeleted;
  recheck.out_of_memory = recheck.out_of_memory || kind == Kind::kOutOfMemory;
  recheck.until = std::max(
      recheck.until,
      clock_.Now() + (kind == Kind::kOutOfMemory ? kOutOfMemoryRecheck : options_.recheck_for));
  recheck.wait = options_.first_recheck;
  if (recheck.reading) {
    recheck.again = true;
    return false;
  }
  if (Settled(id, recheck)) {
    timers_.Cancel(recheck.timer);
    rechecks_.erase(id);
    return false;
  }
  timers_.Cancel(recheck.timer);
  recheck.reading = true;
  return true;
}

void RuntimeCache::Impl::ReadOne(const std::string& id) {
  Moment asked;
  std::optional<PodStore::Known> known;
  {
    const std::lock_guard lock(mutex_);
    known = store_.Find(id);
    if (!known) {
      rechecks_.erase(id);
      return;
    }
    asked = store_.Now(clock_.Now());
  }
  if (known->is_sandbox) {
    client_.PodSandboxStatus(
        {id}, [this, gate = gate_, id, asked, uid = known->uid](Result<SandboxStatus> answer) {
          if (const auto pass = gate->Enter()) {
            OnOne(id, asked, uid, std::move(answer));
          }
        });
    return;
  }
  client_.ContainerStatus({id}, [this, gate = gate_, id, asked, uid = known->uid,
                                 sandbox = known->sandbox](Result<ContainerStatus> answer) {
    const auto pass = gate->Enter();
    if (!pass) {
      return;
    }
    if (answer) {
      OnOne<PodContainer>(id, asked, uid,
                          PodContainer{.sandbox = sandbox, .status = std::move(*answer)});
    } else {
      OnOne<PodContainer>(id, asked, uid, std::move(answer).error());
    }
  });
}

template <class Value>
void RuntimeCache::Impl::OnOne(const std::string& id,
                               Moment asked,
                               const std::string& uid,
                               Result<Value> value) {
  bool changed = false;
  bool read = false;
  {
    const std::lock_guard lock(mutex_);
    if (value) {
      changed = store_.Apply(uid, asked, std::move(*value));
    } else if (value.error().code == Code::kNotFound) {
      changed = store_.Remove(id, asked).has_value();
    }
    // Other errors: the next recheck or the relist.
    read = NextStep(id);
  }
  if (changed) {
    Tell(uid);
  }
  if (read) {
    ReadOne(id);
  }
}

bool RuntimeCache::Impl::Settled(const std::string& id, const Recheck& recheck) const {
  const auto known = store_.Find(id);
  if (!known) {
    return true;
  }
  if (recheck.deleted) {
    return false;
  }
  if (!known->ended) {
    return false;
  }
  return known->is_sandbox || !recheck.out_of_memory || known->reason == "OOMKilled";
}

bool RuntimeCache::Impl::NextStep(const std::string& id) {
  const auto found = rechecks_.find(id);
  if (found == rechecks_.end()) {
    return false;
  }
  Recheck& recheck = found->second;
  if (Settled(id, recheck) || clock_.Now() >= recheck.until) {
    rechecks_.erase(found);
    return false;
  }
  if (std::exchange(recheck.again, false)) {
    return true;
  }
  recheck.reading = false;
  recheck.timer = timers_.After(recheck.wait, [this, gate = gate_, id] {
    const auto pass = gate->Enter();
    if (!pass) {
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      const auto due = rechecks_.find(id);
      if (due == rechecks_.end() || due->second.reading) {
        return;
      }
      due->second.reading = true;
    }
    ReadOne(id);
  });
  recheck.wait = std::min(recheck.wait * 2, options_.longest_recheck);
  return false;
}

void RuntimeCache::Impl::NoteSandbox(const std::string& uid, const SandboxStatus& status) {
  const std::string& id = status.sandbox.id.value;
  bool changed = false;
  bool read = false;
  {
    const std::lock_guard lock(mutex_);
    changed = store_.Apply(uid, store_.Now(clock_.Now()), status);
    read = TakeEarlyExit(id);
  }
  if (changed) {
    Tell(uid);
  }
  if (read) {
    ReadOne(id);
  }
}

void RuntimeCache::Impl::NoteContainer(const std::string& uid, PodContainer container) {
  const std::string id = container.status.id.value;
  bool changed = false;
  bool read = false;
  {
    const std::lock_guard lock(mutex_);
    changed = store_.Apply(uid, store_.Now(clock_.Now()), std::move(container));
    read = TakeEarlyExit(id);
  }
  if (changed) {
    Tell(uid);
  }
  if (read) {
    ReadOne(id);
  }
}

void RuntimeCache::Impl::NoteRemoved(const std::string& id) {
  std::optional<std::string> uid;
  {
    const std::lock_guard lock(mutex_);
    uid = store_.Remove(id, store_.Now(clock_.Now()));
    early_exits_.erase(id);
    if (const auto recheck = rechecks_.find(id);
        recheck != rechecks_.end() && !recheck->second.reading) {
      timers_.Cancel(recheck->second.timer);
      rechecks_.erase(recheck);
    }
  }
  if (uid) {
    Tell(*uid);
  }
}

}  // namespace farlet::cri
