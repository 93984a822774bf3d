#include "provider/node/registration.h"

#include "kube/watch/list_watch.h"
#include "provider/node/node_patch.h"
#include "runtime/base/backoff.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

namespace farlet::node {
namespace {

using kube::Json;

constexpr BackoffPolicy kRetry{.initial = milliseconds(100), .max = milliseconds(7000)};
constexpr seconds kLogInterval(60);

// "Forbidden" by the Node authorizer or NodeRestriction: the credentials are another node's.
std::string Explain(const std::string& name, const Error& error) {
  if (error.code == Code::kPermissionDenied) {
    return fmt::format(
        "the API server does not let these credentials register the node \"{}\" (they must be "
        "those of user system:node:{}, or be allowed to create and patch nodes)",
        name, name);
  }
  if (error.code == Code::kUnauthenticated) {
    return fmt::format("the API server does not know the credentials for node \"{}\"", name);
  }
  return fmt::format("cannot register the node \"{}\"", name);
}

}  // namespace

// Requests and timers follow each other, so registering needs no lock; the watch of the own node
// runs beside it and meets it under mutex_.
class Registration::Impl : public std::enable_shared_from_this<Registration::Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       std::string node_name,
       Hooks hooks)
      : client_(client),
        clock_(clock),
        timers_(timers),
        name_(std::move(node_name)),
        hooks_(std::move(hooks)),
        watch_(client, clock, timers, WatchOptions(name_), [this](kube::ListWatch::Change change) {
          OnChange(std::move(change));
        }) {}

  Gate& gate() { return gate_; }

  void Start() { Register(); }

  void Stop() {
    gate_.Close();
    watch_.Stop();
    const std::lock_guard lock(mutex_);
    if (timer_) {
      timers_.Cancel(*timer_);
    }
  }

 private:
  static kube::ListWatchOptions WatchOptions(const std::string& name) {
    kube::ListWatchOptions options;
    options.path = kube::ResourcePath("v1", "nodes", {}, {});
    options.query["fieldSelector"] = "metadata.name=" + name;
    return options;
  }

  std::string Path(std::string_view subresource = {}) const {
    return kube::ResourcePath("v1", "nodes", {}, name_, subresource);
  }

  Callback<Json> Then(void (Impl::*step)(Result<Json>)) {
    return [weak = weak_from_this(), step](Result<Json> answer) {
      EnterStep(weak, [&](Impl& self) { (self.*step)(std::move(answer)); });
    };
  }

  // Begins unless it is under way.
  void Register() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(registering_, true)) {
        return;
      }
    }
    EnterStep(weak_from_this(), [](Impl& self) { self.Create(); });
  }

  void Create() {
    client_.Create(kube::ResourcePath("v1", "nodes", {}, {}), hooks_.build(), {.retry = false},
                   Then(&Impl::OnCreated));
  }

  void OnCreated(Result<Json> answer) {
    if (answer) {
      log::Info("registered the node", {{"node", name_}});
      found_ = nullptr;
      Registered(std::make_shared<const Json>(*std::move(answer)));
    } else if (answer.error().code == Code::kAlreadyExists) {
      client_.Get(Path(), {}, {.retry = false}, Then(&Impl::OnFound));
    } else {
      Failed(Explain(name_, answer.error()), answer.error());
    }
  }

  void OnFound(Result<Json> answer) {
    if (!answer) {
      Failed(Explain(name_, answer.error()), answer.error());
      return;
    }
    if (const std::string owner = hooks_.foreign_owner(*answer); !owner.empty()) {
      Failed(fmt::format("the node \"{}\" is run by {}; choose another node name or stop that one",
                         name_, owner),
             MakeError(Code::kFailedPrecondition, "the name is taken"));
      return;
    }
    found_ = std::make_shared<const Json>(*std::move(answer));
    const Json patch = NodePatch(*found_, hooks_.adopt(*found_));
    if (patch.is_null()) {
      OnPatched(*found_);
      return;
    }
    client_.Patch(Path("status"), kube::PatchType::kStrategicMerge, patch, {.retry = false},
                  Then(&Impl::OnPatched));
  }

  void OnPatched(Result<Json> answer) {
    if (!answer) {
      Failed(Explain(name_, answer.error()), answer.error());
      return;
    }
    log::Info("the node exists and is run from here", {{"node", name_}});
    Registered(std::make_shared<const Json>(*std::move(answer)));
  }

  void Registered(const NodePtr& node) {
    backoff_.Reset();
    failures_ = 0;
    last_said_.clear();
    bool follow = false;
    {
      const std::lock_guard lock(mutex_);
      registering_ = false;
      follow = !std::exchange(following_, true);
    }
    hooks_.on_registered(node, std::exchange(found_, nullptr));
    if (follow) {
      watch_.Start();
    }
  }

  void Failed(const std::string& what, const Error& error) {
    const SteadyTime now = clock_.Now();
    if (what != last_said_ || now - last_logged_ >= kLogInterval) {
      last_said_ = what;
      last_logged_ = now;
      log::Error(what + ", trying again", {{"tries", failures_ + 1}, {"error", error}});
    }
    ++failures_;
    const milliseconds delay =
        std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0)));
    const std::lock_guard lock(mutex_);
    timer_ = timers_.After(
        delay, [weak = weak_from_this()] { EnterStep(weak, [](Impl& self) { self.Create(); }); });
  }

  void OnChange(kube::ListWatch::Change change) {
    const bool deleted = change.kind == kube::ListWatch::Change::Kind::kDelete;
    if (!deleted && !change.objects.empty()) {
      hooks_.on_node(std::make_shared<const Json>(std::move(change.objects.front())));
      return;
    }
    // An old list may not know a node that was made a moment ago; creating it again finds out.
    if (deleted) {
      log::Warning("the node was deleted, registering it again", {{"node", name_}});
    }
    Register();
  }

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const std::string name_;
  const Hooks hooks_;
  Gate gate_;

  // Used by the one registering step that is running.
  NodePtr found_;
  Backoff backoff_{kRetry};
  int failures_ = 0;
  std::string last_said_;
  SteadyTime last_logged_;

  std::mutex mutex_;  // guards the next three
  bool registering_ = false;
  bool following_ = false;
  std::optional<TimerService::Id> timer_;

  kube::ListWatch watch_;  // last: its handler uses the rest
};

Registration::Registration(kube::Client& client,
                           const Clock& clock,
                           TimerService& timers,
                           std::string node_name,
                           Hooks hooks)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(node_name), std::move(hooks))) {
}

Registration::~Registration() {
  impl_->Stop();
}

void Registration::Start() {
  impl_->Start();
}

void Registration::Stop() {
  impl_->Stop();
}

}  // namespace farlet::node
