#include "runtime/shim/task/task_service.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace farlet::shim {
namespace {

namespace task = containerd::task::v2;

constexpr std::array kServices = {"containerd.task.v2.Task", "containerd.task.v3.Task"};
constexpr uint32_t kReadBytes = 65536;

}  // namespace

TaskService::TaskService(Parts parts)
    : parts_(std::move(parts)),
      volumes_(std::make_shared<VolumeReplicator>(parts_.threads, parts_.pod)) {}

void TaskService::Register(ttrpc::Server& server) {
  const auto add = [&]<class Req, class Rep>(const char* name,
                                             void (TaskService::*method)(Req, Reply<Rep>)) {
    using Message = std::remove_cvref_t<Req>;
    for (const char* service : kServices) {
      server.Method<Message, Rep>(
          service, name, [self = shared_from_this(), method](Message request, Reply<Rep> reply) {
            ((*self).*method)(std::move(request), std::move(reply));
          });
    }
  };
  add("Create", &TaskService::Create);
  add("Start", &TaskService::Start);
  add("Delete", &TaskService::Delete);
  add("Exec", &TaskService::Exec);
  add("ResizePty", &TaskService::ResizePty);
  add("State", &TaskService::State);
  add("Pause", &TaskService::Pause);
  add("Resume", &TaskService::Resume);
  add("Kill", &TaskService::Kill);
  add("Pids", &TaskService::Pids);
  add("CloseIO", &TaskService::CloseIo);
  add("Update", &TaskService::Update);
  add("Wait", &TaskService::Wait);
  add("Stats", &TaskService::Stats);
  add("Connect", &TaskService::Connect);
  add("Shutdown", &TaskService::Shutdown);
  for (const char* service : kServices) {
    server.Register(service, "Checkpoint", [](const ttrpc::Request&, const ttrpc::Reply& reply) {
      reply(MakeError(Code::kUnimplemented, "checkpoint: a VM's container cannot be saved"));
    });
  }
  parts_.pod->OnGone([weak = weak_from_this()](const std::string& reason) {
    if (const auto self = weak.lock()) {
      self->OnPodGone(reason);
    }
  });
}

Result<TaskService::ContainerPtr> TaskService::Find(const std::string& id) const {
  const auto found = containers_.find(id);
  if (found == containers_.end() || found->second->creating) {
    return NotFound(fmt::format("container {}: not found", id));
  }
  return found->second;
}

Result<TaskService::ProcessPtr> TaskService::FindProcess(const std::string& id,
                                                         const std::string& exec_id) const {
  FARLET_ASSIGN(const ContainerPtr container, Find(id));
  if (exec_id.empty()) {
    return container->init;
  }
  const auto found = container->execs.find(exec_id);
  if (found == container->execs.end()) {
    return NotFound(fmt::format("exec {} of container {}: not found", exec_id, id));
  }
  return found->second;
}

Result<GuestAgent*> TaskService::Agent() const {
  GuestAgent* const agent = parts_.pod->agent();
  if (agent == nullptr) {
    return Unavailable(parts_.pod->state() == Pod::State::kGone
                           ? "the pod's VM is gone: " + parts_.pod->reason()
                           : "the pod's VM is not ready yet");
  }
  return agent;
}

GuestStreams TaskService::StreamsOf(const ProcessPtr& process) const {
  const std::string id = process->container_id;
  const std::string exec_id = process->exec_id;
  // A call that finds no agent fails as one whose agent goes away: from the loop, not at once.
  const auto with_agent = [pod = parts_.pod, &io = parts_.threads.io](auto call, auto done) {
    if (GuestAgent* const agent = pod->agent()) {
      call(*agent);
      return;
    }
    boost::asio::post(io, [done] { done(Unavailable("the pod's VM is gone")); });
  };
  GuestStreams streams;
  streams.read = [=](OutputStream stream, const Callback<OutputChunk>& done) {
    guest::v1::ReadOutputRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    request.set_stream(static_cast<uint32_t>(stream));
    request.set_max_bytes(kReadBytes);
    with_agent(
        [&](GuestAgent& agent) {
          agent.Call<guest::v1::ReadOutputResponse>(
              "ReadOutput", request, kNoDeadline,
              [done](Result<guest::v1::ReadOutputResponse> chunk) {
                if (!chunk) {
                  done(std::move(chunk).error());
                  return;
                }
                done(OutputChunk{.data = std::move(*chunk->mutable_data()), .eof = chunk->eof()});
              });
        },
        done);
  };
  streams.write = [=](std::string data, const Callback<size_t>& done) {
    guest::v1::WriteInputRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    const size_t size = data.size();
    request.set_data(std::move(data));
    with_agent(
        [&](GuestAgent& agent) {
          agent.Call<guest::v1::WriteInputResponse>(
              "WriteInput", request, kNoDeadline,
              [done, size](const Result<guest::v1::WriteInputResponse>& answer) {
                if (!answer) {
                  done(answer.error());
                } else if (answer->written() == 0 || answer->written() > size) {
                  done(Internal("guest WriteInput: took more than it was given, or nothing"));
                } else {
                  done(answer->written());
                }
              });
        },
        done);
  };
  streams.close_input = [=](const StatusCallback& done) {
    guest::v1::CloseInputRequest request;
    request.set_container_id(id);
    request.set_exec_id(exec_id);
    with_agent(
        [&](GuestAgent& agent) {
          agent.Call<guest::v1::CloseInputResponse>(
              "CloseInput", request, kGuestDeadline,
              [done](const Result<guest::v1::CloseInputResponse>& answer) {
                done(answer ? Status() : Status(answer.error()));
              });
        },
        done);
  };
  return streams;
}

}  // namespace farlet::shim
