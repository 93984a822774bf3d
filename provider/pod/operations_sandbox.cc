#include "provider/pod/controller_impl.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::pod {
namespace {

// From so many stops at once on, a statement about each can wait.
constexpr int kManyStops = 8;

// Another call made it before: an agent that died, or one of ours whose answer was lost.
bool IsNameTaken(const Error& error) {
  return error.code == Code::kAlreadyExists ||
         error.message.find("is reserved for") != std::string::npos;
}

cri::SandboxStatus AsStopped(cri::SandboxStatus status) {
  status.sandbox.state = cri::SandboxState::kNotReady;
  return status;
}

// A sandbox from the limiter's queue until its IP is known: RunPodSandbox, PodSandboxStatus. Its
// steps run on the client's threads.
struct SandboxCreation : std::enable_shared_from_this<SandboxCreation> {
  using End = std::function<void(Result<cri::SandboxStatus> status, bool running)>;

  cri::Client& client;
  cri::SandboxConfig config;
  std::string handler;
  std::shared_ptr<Mailroom> mail;
  std::shared_ptr<ConcurrencyLimiter> limiter;
  std::shared_ptr<std::atomic<bool>> cancelled;
  End end;

  SandboxCreation(cri::Client& runtime, cri::SandboxConfig what)
      : client(runtime), config(std::move(what)) {}

  void Begin() {
    if (mail->closed() || *cancelled) {
      limiter->Done();
      end(Cancelled("the pod is ending"), false);
      return;
    }
    client.RunPodSandbox(config, handler, [self = shared_from_this()](Result<cri::SandboxId> id) {
      self->OnRun(std::move(id));
    });
  }

  void OnRun(Result<cri::SandboxId> id) {
    limiter->Done();
    if (!id) {
      end(std::move(id).error(), false);
    } else if (!mail->closed()) {
      client.PodSandboxStatus(*id, [self = shared_from_this()](Result<cri::SandboxStatus> status) {
        self->end(std::move(status), true);
      });
    }
  }
};

}  // namespace

Result<std::string> PodController::Impl::HandlerOf(const kube::Pod& pod,
                                                   const NodeContext& node) const {
  const std::string& runtime_class = pod.spec.runtime_class_name;
  if (runtime_class.empty()) {
    return node.runtime_handler;
  }
  if (!deps_.runtime_handler) {
    return NotFound(fmt::format("runtimeclass.node.k8s.io \"{}\" not found", runtime_class));
  }
  return deps_.runtime_handler(runtime_class);
}

void PodController::Impl::Run(PodRecord& record, const Facts& facts, const CreateSandbox& action) {
  const NodeContext node = Node();
  const Result<std::string> handler = HandlerOf(*record.pod, node);
  if (!handler && handler.error().code == Code::kUnavailable) {
    record.operations.FailUntil(kCreateSandboxOperation, deps_.clock.Now() + options_.object_wait);
    return;
  }
  std::vector<PodWarning> warnings;
  Result<cri::SandboxConfig> config =
      handler ? MakeSandboxConfig(*record.pod, action.attempt, node, warnings)
              : Result<cri::SandboxConfig>(handler.error());
  for (const PodWarning& warning : warnings) {
    events_.Warning(*record.pod, warning.reason, warning.message);
  }
  if (!config) {
    events_.Warning(*record.pod, "FailedCreatePodSandBox",
                    "Failed to create pod sandbox: " + config.error().message);
    record.operations.Fail(kCreateSandboxOperation, deps_.clock.Now());
    return;
  }
  if (action.attempt > 0 && !facts.runtime->sandboxes.empty() &&
      record.operations.Failures(kCreateSandboxOperation) == 0) {
    events_.Normal(*record.pod, "SandboxChanged",
                   "Pod sandbox changed, it will be killed and re-created.");
  }
  TellMoment(record, PodMoment::kSandboxBegun);
  auto creation = std::make_shared<SandboxCreation>(deps_.runtime, std::move(*config));
  creation->handler = *handler;
  creation->mail = mail_;
  creation->limiter = creations_;
  creation->cancelled = record.cancelled;
  creation->end = [this, mail = mail_, cache = &deps_.cache, uid = record.uid](
                      Result<cri::SandboxStatus> status, bool running) {
    if (status) {
      mail->WhileOpen([&] { cache->NoteSandbox(uid, *status); });
    }
    mail->Post(uid, [this, running, status = std::move(status)](PodRecord& to) {
      OnSandboxCreated(to, status, running);
    });
  };
  creations_->Submit([creation] { creation->Begin(); });
  NoteCrowd();
}

void PodController::Impl::NoteCrowd() {
  const bool crowded = creations_->crowded() || stops_ >= kManyStops;
  writer_->SetCrowded(crowded);
  deps_.recorder.SetResting(crowded);
}

std::function<void()> PodController::Impl::BeginStop() {
  ++stops_;
  NoteCrowd();
  return [this, mail = mail_] {
    mail->WhileOpen([this] {
      --stops_;
      NoteCrowd();
    });
  };
}

void PodController::Impl::OnSandboxCreated(PodRecord& record,
                                           const Result<cri::SandboxStatus>& status,
                                           bool running) {
  NoteCrowd();
  if (status) {
    TellMoment(record, PodMoment::kSandboxReady);
    record.operations.Succeed(kCreateSandboxOperation);
    return;
  }
  const Error& error = status.error();
  if (error.code == Code::kCancelled && *record.cancelled) {
    record.operations.Abandon(kCreateSandboxOperation);
    return;
  }
  if (running) {
    events_.Warning(*record.pod, "FailedPodSandBoxStatus",
                    "Unable to get pod sandbox status: " + GoRpcText(error));
  } else if (!IsNameTaken(error)) {
    events_.Warning(*record.pod, "FailedCreatePodSandBox",
                    "Failed to create pod sandbox: " + GoRpcText(error));
  }
  // There may be one nevertheless: it is found, and used or replaced.
  RefreshThen(record.uid, kCreateSandboxOperation, true);
}

void PodController::Impl::Run(PodRecord& record, const Facts& facts, const StopSandbox& action) {
  std::optional<cri::SandboxStatus> stopped;
  for (const cri::SandboxStatus& status : facts.runtime->sandboxes) {
    if (status.sandbox.id == action.id) {
      stopped = AsStopped(status);
    }
  }
  deps_.runtime.StopPodSandbox(
      action.id, [this, mail = mail_, cache = &deps_.cache, stop_ended = BeginStop(),
                  uid = record.uid, action, stopped](const Status& result) {
        stop_ended();
        if (result && stopped) {
          mail->WhileOpen([&] { cache->NoteSandbox(uid, *stopped); });
        }
        mail->Post(uid, [this, action, result](PodRecord& to) {
          if (result) {
            to.stopped_sandboxes.insert(action.id);
            to.operations.Succeed(OperationName(action));
            return;
          }
          events_.Warning(*to.pod, "FailedKillPod",
                          fmt::format("error killing pod: failed to \"KillPodSandbox\" for \"{}\" "
                                      "with KillPodSandboxError: \"{}\"",
                                      to.uid, GoRpcText(result.error())));
          to.operations.Fail(OperationName(action), deps_.clock.Now());
        });
      });
}

// Few at once: the node has better to do while pods still stop or start.
void PodController::Impl::Run(PodRecord& record, const Facts&, const RemoveSandbox& action) {
  const auto end = [this, mail = mail_, cache = &deps_.cache, limiter = removals_, uid = record.uid,
                    action](const Status& result) {
    limiter->Done();
    if (result) {
      mail->WhileOpen([&] { cache->NoteRemoved(action.id); });
    }
    mail->Post(uid, [this, action, result](PodRecord& to) {
      if (result) {
        to.operations.Succeed(OperationName(action));
      } else {
        log::Warning("cannot remove a sandbox",
                     {{"pod", to.pod->Format()}, {"error", result.error()}});
        to.operations.Fail(OperationName(action), deps_.clock.Now());
      }
    });
  };
  removals_->Submit([client = &deps_.runtime, mail = mail_, action, end] {
    if (mail->closed()) {
      end(Cancelled("the agent stops"));
    } else if (!action.stop_first) {
      client->RemovePodSandbox(action.id, end);
    } else {
      client->StopPodSandbox(action.id, [client, action, end](const Status& result) {
        if (result) {
          client->RemovePodSandbox(action.id, end);
        } else {
          end(result);
        }
      });
    }
  });
}

}  // namespace farlet::pod
