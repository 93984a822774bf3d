// Task.Create: the sandbox is the VM; a container is set up in it and waits for Start.
#include "proto/containerd/events/task/task.pb.h"
#include "runtime/base/log.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/spec/container_spec.h"
#include "runtime/shim/task/task_service.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

Status CheckRequest(const task::CreateTaskRequest& request) {
  if (!IsIdentifier(request.id())) {
    return InvalidArgument(fmt::format("create: \"{}\" is not an identifier", request.id()));
  }
  if (!request.checkpoint().empty()) {
    return MakeError(Code::kUnimplemented, "create from a checkpoint: not possible in a VM");
  }
  return {};
}

std::vector<RootfsMount> MountsOf(const task::CreateTaskRequest& request) {
  std::vector<RootfsMount> mounts;
  for (const auto& mount : request.rootfs()) {
    mounts.push_back({.type = mount.type(),
                      .source = mount.source(),
                      .options = {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

}  // namespace

// One Create from its request to its reply. Steps: the VM is ready; spec, root file system and
// shares (on the pool); volumes; the container in the guest. What a failed step leaves is undone
// in Fail().
class CreateOperation final : public std::enable_shared_from_this<CreateOperation> {
 public:
  CreateOperation(std::shared_ptr<TaskService> service,
                  task::CreateTaskRequest request,
                  TaskService::Reply<task::CreateTaskResponse> reply)
      : service_(std::move(service)), request_(std::move(request)), reply_(std::move(reply)) {}

  void Begin() {
    container_ = std::make_shared<Container>();
    container_->id = request_.id();
    container_->bundle = request_.bundle();
    container_->init = std::make_shared<Process>();
    container_->init->container_id = request_.id();
    container_->init->stdio = {.in = request_.stdin(),
                               .out = request_.stdout(),
                               .err = request_.stderr(),
                               .terminal = request_.terminal(),
                               .id = request_.id(),
                               .containerd_namespace = service_->parts_.containerd_namespace};
    service_->containers_[container_->id] = container_;
    service_->parts_.pod->WhenReady([self = shared_from_this()](const Status& ready) {
      ready ? self->Read() : self->Fail(ready.error());
    });
  }

 private:
  struct Prepared {
    Membership membership;
    ContainerPlan plan;
    std::vector<SharedPath> shares;
  };

  Threads threads() const { return service_->parts_.threads; }

  void Read() {
    RunBlocking<Prepared>(
        threads(),
        [id = container_->id, bundle = container_->bundle, mounts = MountsOf(request_),
         machine = service_->parts_.pod->machine(),
         &facts = service_->parts_.facts] { return Prepare(id, bundle, mounts, *machine, facts); },
        [self = shared_from_this()](Result<Prepared> prepared) {
          self->OnPrepared(std::move(prepared));
        });
  }

  static Result<Prepared> Prepare(const std::string& id,
                                  const std::filesystem::path& bundle,
                                  const std::vector<RootfsMount>& mounts,
                                  Machine& machine,
                                  const HostFacts& facts) {
    Prepared prepared;
    FARLET_ASSIGN(const Document spec, ReadBundle(bundle));
    FARLET_ASSIGN(prepared.membership, MembershipOf(spec, id));
    if (prepared.membership.kind == Membership::Kind::kSandbox) {
      return prepared;
    }
    FARLET_ASSIGN(prepared.plan, TranslateContainer(spec, id, facts));
    FARLET_ASSIGN(auto layers, Annotate(machine.PlaceRootfs(mounts), "root file system"));
    for (auto& layer : layers) {
      *prepared.plan.request.mutable_rootfs()->add_layers() = std::move(layer);
    }
    FARLET_TRY(Share(prepared, machine));
    return prepared;
  }

  static Status Share(Prepared& prepared, Machine& machine) {
    for (const ShareNeed& need : prepared.plan.shares) {
      const SharedPath path{.host_path = need.host_path,
                            .readonly = need.readonly,
                            .writable_below = need.writable_below};
      auto shared = machine.Share(path);
      if (!shared) {
        for (const auto& earlier : prepared.shares) {
          machine.Unshare(earlier);
        }
        return Wrap("share " + need.host_path.string(), std::move(shared).error());
      }
      prepared.shares.push_back(path);
      prepared.plan.request.mutable_mounts(need.mount)->set_share_path(std::move(*shared));
    }
    return {};
  }

  void OnPrepared(Result<Prepared> prepared) {
    if (!prepared) {
      Fail(std::move(prepared).error());
      return;
    }
    container_->kind = prepared->membership.kind;
    container_->shares = std::move(prepared->shares);
    if (!container_->in_guest()) {
      Finish();
      return;
    }
    guest_request_ = std::move(prepared->plan.request);
    auto& process = *guest_request_.mutable_process();
    container_->rlimits.assign(process.rlimits().begin(), process.rlimits().end());
    process.set_terminal(request_.terminal());
    process.set_stdin(!request_.stdin().empty());
    service_->volumes_->Ensure(container_->id, prepared->plan.volumes,
                               [self = shared_from_this()](const Status& synced) {
                                 synced ? self->CreateInGuest() : self->Fail(synced.error());
                               });
  }

  void CreateInGuest() {
    auto io = ProcessIo::Open(threads().io, container_->init->stdio,
                              service_->StreamsOf(container_->init));
    if (!io) {
      Fail(std::move(io).error());
      return;
    }
    container_->init->io = std::move(*io);
    const Result<GuestAgent*> agent = service_->Agent();
    if (!agent) {
      Fail(agent.error());
      return;
    }
    (*agent)->Call<guest::v1::CreateContainerResponse>(
        "CreateContainer", guest_request_, kGuestDeadline,
        [self = shared_from_this()](const Result<guest::v1::CreateContainerResponse>& created) {
          if (!created) {
            self->Fail(created.error());
            return;
          }
          self->Finish();
        });
  }

  void Finish() {
    container_->creating = false;
    container_->init->pid = service_->parts_.pod->pid();
    containerd::events::TaskCreate event;
    event.set_container_id(container_->id);
    event.set_bundle(container_->bundle.string());
    *event.mutable_rootfs() = request_.rootfs();
    event.mutable_io()->set_stdin(request_.stdin());
    event.mutable_io()->set_stdout(request_.stdout());
    event.mutable_io()->set_stderr(request_.stderr());
    event.mutable_io()->set_terminal(request_.terminal());
    event.set_pid(container_->init->pid);
    service_->parts_.events->Publish("/tasks/create", "containerd.events.TaskCreate", event);
    task::CreateTaskResponse response;
    response.set_pid(container_->init->pid);
    reply_(std::move(response));
    if (container_->in_guest()) {
      service_->WatchExit(container_->init);
      if (!service_->watching_guest_) {
        service_->WatchGuestEvents();
      }
    } else if (service_->parts_.pod->state() == Pod::State::kGone) {
      service_->OnPodGone(service_->parts_.pod->reason());
    }
  }

  void Fail(const Error& error) {
    log::Error("create", {{"container", container_->id}, {"error", error}});
    if (container_->init->io) {
      container_->init->io->Close();
    }
    // After a deadline the guest may yet come to have it.
    if (const Result<GuestAgent*> agent = service_->Agent();
        agent && guest_request_.has_process()) {
      guest::v1::DeleteContainerRequest request;
      request.set_id(container_->id);
      (*agent)->Call<guest::v1::DeleteContainerResponse>(
          "DeleteContainer", request, kGuestDeadline,
          [](const Result<guest::v1::DeleteContainerResponse>& /*deleted*/) {});
    }
    service_->ReleaseShares(container_);
    service_->volumes_->Release(container_->id);
    service_->containers_.erase(container_->id);
    reply_(Wrap("create container " + container_->id, error));
  }

  const std::shared_ptr<TaskService> service_;
  const task::CreateTaskRequest request_;
  const TaskService::Reply<task::CreateTaskResponse> reply_;
  TaskService::ContainerPtr container_;
  guest::v1::CreateContainerRequest guest_request_;
};

void TaskService::Create(task::CreateTaskRequest request, Reply<task::CreateTaskResponse> reply) {
  if (const Status valid = CheckRequest(request); !valid) {
    reply(valid.error());
    return;
  }
  if (containers_.contains(request.id())) {
    reply(MakeError(Code::kAlreadyExists,
                    fmt::format("create container {}: it exists", request.id())));
    return;
  }
  std::make_shared<CreateOperation>(shared_from_this(), std::move(request), std::move(reply))
      ->Begin();
}

}  // namespace farlet::shim
