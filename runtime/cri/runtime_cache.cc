#include "runtime/cri/runtime_cache.h"

#include "runtime/base/log.h"
#include "runtime/cri/runtime_cache_impl.h"

#include <algorithm>
#include <utility>

namespace farlet::cri {
namespace {

// Passes an answer on unless the cache is gone.
template <class Value, class Handler>
Callback<Value> Guarded(const std::shared_ptr<Gate>& gate, Handler handler) {
  return [gate, handler = std::move(handler)](Result<Value> answer) mutable {
    if (const auto pass = gate->Enter()) {
      handler(std::move(answer));
    }
  };
}

}  // namespace

RuntimeCache::Impl::~Impl() {
  // From here on no answer, timer or listener gets in, so the rest needs no lock.
  gate_->Close();
  const Error closing = Cancelled("the runtime cache is being closed");
  for (auto& [uid, read] : reads_) {
    for (auto* waiting : {&read.running, &read.waiting}) {
      for (const PodDone& done : *waiting) {
        done(closing);
      }
    }
  }
  for (auto* waiting : {&relist_running_, &relist_waiting_}) {
    for (const StatusCallback& done : *waiting) {
      done(closing);
    }
  }
}

void RuntimeCache::Impl::Start() {
  {
    const std::lock_guard lock(mutex_);
    started_ = true;
  }
  Relist([](const Status&) {});
}

PodRuntimePtr RuntimeCache::Impl::Get(const std::string& uid) const {
  const std::lock_guard lock(mutex_);
  return store_.Get(uid);
}

std::vector<PodRuntimePtr> RuntimeCache::Impl::All() const {
  const std::lock_guard lock(mutex_);
  return store_.All();
}

bool RuntimeCache::Impl::Synced() const {
  const std::lock_guard lock(mutex_);
  return synced_;
}

void RuntimeCache::Impl::Tell(const std::string& uid) {
  if (listener_) {
    listener_(uid);
  }
}

void RuntimeCache::Impl::Refresh(const std::string& uid, PodDone done) {
  Moment asked;
  {
    const std::lock_guard lock(mutex_);
    asked = store_.Now(clock_.Now());
  }
  QueueRead(uid, asked, std::nullopt, std::move(done));
}

void RuntimeCache::Impl::QueueRead(const std::string& uid,
                                   Moment asked,
                                   std::optional<PodLists> lists,
                                   PodDone done) {
  {
    const std::lock_guard lock(mutex_);
    const auto [read, idle] = reads_.try_emplace(uid);
    if (!idle) {
      read->second.waiting.push_back(std::move(done));
      return;
    }
    read->second.running.push_back(std::move(done));
  }
  StartRead(uid, asked, std::move(lists));
}

void RuntimeCache::Impl::StartRead(const std::string& uid,
                                   Moment asked,
                                   std::optional<PodLists> lists) {
  auto finish = Guarded<PodFacts>(gate_, [this, uid, asked](Result<PodFacts> facts) {
    FinishRead(uid, asked, std::move(facts));
  });
  if (lists) {
    ReadStatuses(client_, gate_, *lists, Get(uid), std::move(finish));
    return;
  }
  ReadLists(client_, gate_, {{labels::kPodUid, uid}},
            [this, uid, finish = std::move(finish)](Result<std::map<std::string, PodLists>> all) {
              if (!all) {
                finish(std::move(all).error());
                return;
              }
              ReadStatuses(client_, gate_, (*all)[uid], Get(uid), finish);
            });
}

void RuntimeCache::Impl::FinishRead(const std::string& uid, Moment asked, Result<PodFacts> facts) {
  bool changed = false;
  bool read_again = false;
  PodRuntimePtr snapshot;
  Moment again;
  std::vector<PodDone> done;
  {
    const std::lock_guard lock(mutex_);
    if (facts) {
      changed = store_.Apply(uid, asked, std::move(*facts));
      snapshot = store_.Get(uid);
    }
    const auto read = reads_.find(uid);
    done = std::move(read->second.running);
    read_again = !read->second.waiting.empty();
    if (read_again) {
      read->second.running = std::exchange(read->second.waiting, {});
      again = store_.Now(clock_.Now());
    } else {
      reads_.erase(read);
    }
  }
  if (changed) {
    Tell(uid);
  }
  for (const PodDone& callback : done) {
    callback(facts ? Result<PodRuntimePtr>(snapshot) : Result<PodRuntimePtr>(facts.error()));
  }
  if (read_again) {
    StartRead(uid, again, std::nullopt);
  }
}

void RuntimeCache::Impl::Relist(StatusCallback done) {
  {
    const std::lock_guard lock(mutex_);
    if (relisting_) {
      relist_waiting_.push_back(std::move(done));
      return;
    }
    relisting_ = true;
    relist_running_.push_back(std::move(done));
  }
  StartRelist();
}

void RuntimeCache::Impl::StartRelist() {
  Moment asked;
  {
    const std::lock_guard lock(mutex_);
    asked = store_.Now(clock_.Now());
  }
  ReadLists(client_, gate_, {}, [this, asked](Result<std::map<std::string, PodLists>> lists) {
    OnLists(asked, std::move(lists));
  });
}

void RuntimeCache::Impl::OnLists(Moment asked, Result<std::map<std::string, PodLists>> lists) {
  bool flipped = false;
  std::vector<std::string> differing;
  {
    const std::lock_guard lock(mutex_);
    flipped = std::exchange(list_failed_, !lists) != !lists;
    if (lists) {
      differing = store_.Differing(*lists, asked);
      store_.ForgetOldRemovals(asked.time);
    }
  }
  if (flipped && lists) {
    log::Info("container runtime can be listed again");
  } else if (flipped) {
    log::Warning("cannot list the container runtime", {{"error", lists.error()}});
  }
  if (!lists || differing.empty()) {
    FinishRelist(lists ? Status() : Status(lists.error()));
    return;
  }

  struct Rest {
    std::mutex mutex;  // guards all below
    size_t pods = 0;
    Status outcome;
  };

  const auto rest = std::make_shared<Rest>();
  rest->pods = differing.size();
  for (const std::string& uid : differing) {
    QueueRead(uid, asked, std::move((*lists)[uid]), [this, rest](const Result<PodRuntimePtr>& pod) {
      {
        const std::lock_guard lock(rest->mutex);
        if (!pod) {
          rest->outcome = Status(pod.error());
        }
        if (--rest->pods > 0) {
          return;
        }
      }
      if (const auto pass = gate_->Enter()) {
        FinishRelist(rest->outcome);
      }
    });
  }
}

void RuntimeCache::Impl::FinishRelist(const Status& outcome) {
  std::vector<StatusCallback> done;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    done = std::move(relist_running_);
    relist_running_ = std::exchange(relist_waiting_, {});
    again = !relist_running_.empty();
    relisting_ = again;
    relist_failed_ = !outcome;
    synced_ = synced_ || outcome.has_value();
  }
  for (const StatusCallback& callback : done) {
    callback(outcome);
  }
  if (again) {
    StartRelist();
  } else {
    ScheduleRelist();
  }
}

milliseconds RuntimeCache::Impl::RelistDelay() const {
  if (!events_up_) {
    return options_.relist_without_events;
  }
  // A failed relist is repeated soon, whatever the events say.
  return relist_failed_ ? std::min<milliseconds>(seconds(1), options_.relist_with_events)
                        : options_.relist_with_events;
}

void RuntimeCache::Impl::ScheduleRelist() {
  const std::lock_guard lock(mutex_);
  if (!started_ || relisting_) {
    return;  // the end of the running one schedules the next
  }
  timers_.Cancel(relist_timer_);
  relist_timer_ = timers_.After(RelistDelay(), [this, gate = gate_] {
    if (const auto pass = gate->Enter()) {
      Relist([](const Status&) {});
    }
  });
}

RuntimeCache::RuntimeCache(Client& client,
                           const Clock& clock,
                           TimerService& timers,
                           Options options)
    : impl_(std::make_unique<Impl>(client, clock, timers, options)) {}

RuntimeCache::RuntimeCache(Client& client, const Clock& clock, TimerService& timers)
    : RuntimeCache(client, clock, timers, Options()) {}

RuntimeCache::~RuntimeCache() = default;

void RuntimeCache::SetListener(std::function<void(const std::string&)> listener) {
  impl_->SetListener(std::move(listener));
}

void RuntimeCache::Start() {
  impl_->Start();
}

PodRuntimePtr RuntimeCache::Get(const std::string& uid) const {
  return impl_->Get(uid);
}

std::vector<PodRuntimePtr> RuntimeCache::All() const {
  return impl_->All();
}

bool RuntimeCache::Synced() const {
  return impl_->Synced();
}

void RuntimeCache::Refresh(const std::string& uid, Callback<PodRuntimePtr> done) {
  impl_->Refresh(uid, std::move(done));
}

void RuntimeCache::Relist(StatusCallback done) {
  impl_->Relist(std::move(done));
}

void RuntimeCache::OnEvent(const EventNotice& notice) {
  impl_->OnEvent(notice);
}

void RuntimeCache::NoteSandbox(const std::string& uid, const SandboxStatus& status) {
  impl_->NoteSandbox(uid, status);
}

void RuntimeCache::NoteContainer(const std::string& uid,
                                 const SandboxId& sandbox,
                                 const ContainerStatus& status) {
  impl_->NoteContainer(uid, {.sandbox = sandbox, .status = status});
}

void RuntimeCache::NoteRemoved(const SandboxId& id) {
  impl_->NoteRemoved(id.value);
}

void RuntimeCache::NoteRemoved(const ContainerId& id) {
  impl_->NoteRemoved(id.value);
}

}  // namespace farlet::cri
