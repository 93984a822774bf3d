#include "provider/pod/controller_impl.h"
#include "provider/pod/log_files.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::pod {
namespace {

constexpr milliseconds kAwaitExit{100};
// How often a container that was stopped is looked at before it is stopped once more.
constexpr int kMaxLooks = 4;

// CreateContainer, StartContainer, ContainerStatus. Its steps run on the client's threads.
struct ContainerCreation : std::enable_shared_from_this<ContainerCreation> {
  cri::Client& client;
  cri::RuntimeCache& cache;
  PodEvents events;
  std::shared_ptr<const kube::Pod> pod;
  cri::SandboxId sandbox;
  cri::SandboxConfig sandbox_config;
  cri::ContainerConfig config;
  std::shared_ptr<Mailroom> mail;
  std::shared_ptr<std::atomic<bool>> cancelled;
  std::function<void(MadeStep step, Status result)> end;
  cri::ContainerId id;

  ContainerCreation(cri::Client& runtime, cri::RuntimeCache& known, PodEvents recorder)
      : client(runtime), cache(known), events(recorder) {}

  void Begin() {
    client.CreateContainer(sandbox, config, sandbox_config,
                           [self = shared_from_this()](Result<cri::ContainerId> made) {
                             self->OnCreated(std::move(made));
                           });
  }

  void OnCreated(Result<cri::ContainerId> made) {
    if (!made) {
      end(MadeStep::kCreate, std::move(made).error());
      return;
    }
    if (mail->closed() || *cancelled) {
      end(MadeStep::kCancel, Cancelled("the pod is ending"));
      return;
    }
    id = std::move(*made);
    Tell("Created", "Container created");
    client.StartContainer(
        id, [self = shared_from_this()](Status started) { self->OnStarted(std::move(started)); });
  }

  void Tell(const char* reason, const char* message) {
    mail->WhileOpen([&] { events.Normal(*pod, config.metadata.name, reason, message); });
  }

  void OnStarted(Status started) {
    if (!started) {
      end(MadeStep::kStart, std::move(started));
      return;
    }
    Tell("Started", "Container started");
    if (mail->closed()) {
      return;
    }
    client.ContainerStatus(id, [self = shared_from_this()](Result<cri::ContainerStatus> status) {
      if (!status) {
        self->end(MadeStep::kStatus, std::move(status).error());
        return;
      }
      self->mail->WhileOpen(
          [&] { self->cache.NoteContainer(self->pod->meta.uid, self->sandbox, *status); });
      self->end(MadeStep::kStatus, {});
    });
  }
};

}  // namespace

// Everything that has to be there before CreateContainer. Errors: kUnavailable while something is
// still being read.
Result<cri::ContainerConfig> PodController::Impl::PrepareContainer(PodRecord& record,
                                                                   const Facts& facts,
                                                                   const kube::Container& container,
                                                                   const StartContainer& action) {
  const NodeContext node = Node();
  EnvContext context = MakeEnvContext(record, *facts.runtime);
  if (deps_.service_env) {
    FARLET_ASSIGN(context.service_env, deps_.service_env(*record.pod));
  }
  FARLET_ASSIGN(std::vector<cri::EnvVar> env, MakeEnv(container, context));
  FARLET_ASSIGN(std::vector<cri::Mount> mounts,
                MakeMounts(node, context, container, action.restart_count, env));
  const ReadyImage image = Progress(record, container.name).image.value_or(ReadyImage{});
  FARLET_ASSIGN(cri::ContainerConfig config,
                MakeContainerConfig(*record.pod,
                                    {.container = container,
                                     .restart_count = action.restart_count,
                                     .image_ref = image.ref,
                                     .image_uid = image.uid,
                                     .image_username = image.username,
                                     .env = std::move(env),
                                     .mounts = std::move(mounts)},
                                    node));
  const std::filesystem::path logs = PodLogDirectory(node, *record.pod) / container.name;
  FARLET_TRY(MakeDirectories(logs, 0755));
  return config;
}

void PodController::Impl::Run(PodRecord& record, const Facts& facts, const StartContainer& action) {
  const std::string operation = OperationName(action);
  const kube::Container* container = FindContainer(*record.pod, action.container);
  if (container == nullptr) {
    record.operations.Succeed(operation);
    return;
  }
  Result<cri::ContainerConfig> config = PrepareContainer(record, facts, *container, action);
  if (!config && config.error().code == Code::kUnavailable) {
    record.operations.FailUntil(operation, deps_.clock.Now() + options_.object_wait);
    return;
  }
  uint32_t sandbox_attempt = 0;
  for (const cri::SandboxStatus& status : facts.runtime->sandboxes) {
    if (status.sandbox.id == action.sandbox) {
      sandbox_attempt = status.sandbox.metadata.attempt;
    }
  }
  std::vector<PodWarning> told_before;
  Result<cri::SandboxConfig> sandbox_config =
      MakeSandboxConfig(*record.pod, sandbox_attempt, Node(), told_before);
  if (!config || !sandbox_config) {
    FailStart(record, action.container, "CreateContainerConfigError",
              (!config ? config.error() : sandbox_config.error()).message);
    return;
  }
  ContainerProgress& progress = Progress(record, action.container);
  if (action.previous_finished) {
    progress.crash.OnRestart(*action.previous_finished, deps_.clock.WallNow());
  }
  auto creation = std::make_shared<ContainerCreation>(deps_.runtime, deps_.cache, events_);
  creation->pod = record.pod;
  creation->sandbox = action.sandbox;
  creation->sandbox_config = std::move(*sandbox_config);
  creation->config = std::move(*config);
  creation->mail = mail_;
  creation->cancelled = record.cancelled;
  creation->end = [this, mail = mail_, uid = record.uid, name = action.container](MadeStep step,
                                                                                  Status result) {
    mail->Post(uid, [this, name, step, result = std::move(result)](PodRecord& to) {
      OnContainerMade(to, name, step, result);
    });
  };
  creation->Begin();
}

// A container could not be made: said in its status and an event, and tried again later.
void PodController::Impl::FailStart(PodRecord& record,
                                    const std::string& name,
                                    const std::string& reason,
                                    const std::string& message) {
  record.waiting[name] = {.reason = reason, .message = message};
  events_.Warning(*record.pod, name, "Failed", "Error: " + message);
  record.operations.Fail(StartOperation(name), deps_.clock.Now());
}

void PodController::Impl::OnContainerMade(PodRecord& record,
                                          const std::string& name,
                                          MadeStep step,
                                          const Status& result) {
  const std::string operation = StartOperation(name);
  ContainerProgress& progress = Progress(record, name);
  if (result) {
    record.waiting.erase(name);
    progress.image.reset();
    record.operations.Succeed(operation);
    return;
  }
  const Error& error = result.error();
  switch (step) {
    case MadeStep::kCreate: {
      const bool taken = error.code == Code::kAlreadyExists ||
                         error.message.find("is reserved for") != std::string::npos;
      if (!taken) {
        if (const kube::Container* container = FindContainer(*record.pod, name)) {
          puller_->Distrust(container->image);
        }
        FailStart(record, name, "CreateContainerError", error.message);
        // The wait of FailStart holds; the image is looked at again before the next try.
        progress.image.reset();
        deps_.cache.Refresh(record.uid, [](const auto&) {});
        return;
      }
      break;
    }
    case MadeStep::kStart:
      // The runtime keeps it as ended; its restart waits like that of any container that ended.
      record.waiting[name] = {.reason = "RunContainerError", .message = error.message};
      events_.Warning(*record.pod, name, "Failed", "Error: " + error.message);
      progress.image.reset();
      break;
    case MadeStep::kCancel:
      break;
    case MadeStep::kStatus:
      record.waiting.erase(name);
      progress.image.reset();
      break;
  }
  // What the runtime has of it decides.
  RefreshThen(record.uid, operation, step == MadeStep::kCreate);
}

void PodController::Impl::Run(PodRecord& record, const Facts&, const KillContainer& action) {
  const std::string operation = OperationName(action);
  if (record.stopped.contains(action.id)) {
    // It has been stopped, and the news of its end got lost.
    if (record.operations.Failures(operation) > kMaxLooks) {
      record.stopped.erase(action.id);
    }
    RefreshThen(record.uid, operation, true);
    return;
  }
  const auto stop_ended = BeginStop();
  if (!record.stopping.contains(action.id)) {
    events_.Normal(*record.pod, action.container, "Killing", action.message);
  }
  record.stopping[action.id] = deps_.clock.Now() + action.grace;
  deps_.runtime.StopContainer(
      action.id, action.grace,
      [this, mail = mail_, stop_ended, uid = record.uid, operation,
       id = action.id](const Status& result) {
        stop_ended();
        mail->Post(uid, [this, operation, id, result](PodRecord& to) {
          to.stopping.erase(id);
          if (result) {
            to.stopped.insert(id);
            // Its end is about to be told; if it is not, somebody asks.
            to.operations.FailUntil(operation, deps_.clock.Now() + kAwaitExit);
            return;
          }
          events_.Warning(*to.pod, "FailedKillPod",
                          "error killing pod: " + GoRpcText(result.error()));
          to.operations.Fail(operation, deps_.clock.Now());
        });
      });
}

void PodController::Impl::Run(PodRecord& record, const Facts&, const RemoveContainer& action) {
  deps_.runtime.RemoveContainer(action.id, [this, mail = mail_, cache = &deps_.cache,
                                            uid = record.uid, action](const Status& result) {
    if (result) {
      mail->WhileOpen([&] { cache->NoteRemoved(action.id); });
    }
    mail->Post(uid, [this, action, result](PodRecord& to) {
      if (result) {
        to.operations.Succeed(OperationName(action));
        RemoveContainerLogs(action.log_path);
      } else {
        to.operations.Fail(OperationName(action), deps_.clock.Now());
      }
    });
  });
}

}  // namespace farlet::pod
