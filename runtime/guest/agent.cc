#include "runtime/guest/agent.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/guest/checks.h"
#include "runtime/guest/poll.h"
#include "runtime/guest/sys.h"

#include <boost/asio/io_context.hpp>

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <utility>

namespace farlet::guest {
namespace {

constexpr const char* kService = "farlet.guest.v1.Agent";

}  // namespace

std::string_view StateName(ContainerState state) {
  switch (state) {
    case ContainerState::kCreating:
      return "being created";
    case ContainerState::kCreated:
      return "created";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kStopped:
      return "stopped";
    case ContainerState::kDeleting:
      return "being deleted";
  }
  return "unknown";
}

Agent::Agent(boost::asio::io_context& context, Layout layout, std::function<void()> stop)
    : context_(context),
      layout_(std::move(layout)),
      stop_(std::move(stop)),
      reaper_(context),
      files_(context),
      volumes_(layout_),
      connections_(context),
      pod_(layout_.PodCgroup(), layout_.inside_vm) {}

template <class Req, class Rep>
void Agent::Register(ttrpc::Server& server,
                     const char* method,
                     Result<Rep> (Agent::*handler)(const Req&)) {
  server.Method<Req, Rep>(kService, method, [this, handler](Req request, Answer<Rep> answer) {
    answer((this->*handler)(request));
  });
}

template <class Req, class Rep, class Parameter>
void Agent::Register(ttrpc::Server& server,
                     const char* method,
                     void (Agent::*handler)(Parameter, const Answer<Rep>&)) {
  server.Method<Req, Rep>(kService, method, [this, handler](Req request, Answer<Rep> answer) {
    (this->*handler)(std::move(request), answer);
  });
}

template <class Req, class Rep>
void Agent::Register(ttrpc::Server& server,
                     const char* method,
                     void (Agent::*handler)(const ttrpc::Request&,
                                            const Req&,
                                            const Answer<Rep>&)) {
  server.Method<Req, Rep>(
      kService, method,
      [this, handler](const ttrpc::Request& call, Req request, Answer<Rep> answer) {
        (this->*handler)(call, request, answer);
      });
}

Status Agent::Start(ttrpc::Server& server) {
  Register(server, "Hello", &Agent::Hello);
  Register<v1::FurnishRequest>(server, "Furnish", &Agent::Furnish);
  Register(server, "Prepare", &Agent::Prepare);
  Register(server, "EndRehearsal", &Agent::EndRehearsal);
  Register<v1::CreateContainerRequest>(server, "CreateContainer", &Agent::CreateContainer);
  Register<v1::StartContainerRequest>(server, "StartContainer", &Agent::StartContainer);
  Register<v1::ExecRequest>(server, "Exec", &Agent::Exec);
  Register(server, "Signal", &Agent::Signal);
  Register(server, "Wait", &Agent::Wait);
  Register<v1::DeleteExecRequest>(server, "DeleteExec", &Agent::DeleteExec);
  Register<v1::DeleteContainerRequest>(server, "DeleteContainer", &Agent::DeleteContainer);
  Register(server, "ReadOutput", &Agent::ReadOutput);
  Register<v1::WriteInputRequest>(server, "WriteInput", &Agent::WriteInput);
  Register(server, "CloseInput", &Agent::CloseInput);
  Register(server, "ResizeTerminal", &Agent::ResizeTerminal);
  Register<v1::PauseRequest>(server, "Pause", &Agent::Pause);
  Register<v1::ResumeRequest>(server, "Resume", &Agent::Resume);
  Register(server, "Update", &Agent::Update);
  Register(server, "Stats", &Agent::Stats);
  Register(server, "ListProcesses", &Agent::ListProcesses);
  Register(server, "PodStats", &Agent::PodStats);
  Register(server, "NextEvents", &Agent::NextEvents);
  Register(server, "SyncVolume", &Agent::SyncVolume);
  Register<v1::OpenTcpRequest>(server, "OpenTcp", &Agent::OpenTcp);
  Register(server, "ReadTcp", &Agent::ReadTcp);
  Register<v1::WriteTcpRequest>(server, "WriteTcp", &Agent::WriteTcp);
  Register(server, "CloseTcp", &Agent::CloseTcp);
  Register<v1::ShutdownRequest>(server, "Shutdown", &Agent::Shutdown);
  FARLET_TRY(reaper_.Start());
  return files_.Start();
}

void Agent::WatchHelper(pid_t pid, std::string name) {
  if (pid > 0) {
    reaper_.Watch(pid, [name = std::move(name)](int status) {
      log::Error("a helper ended", {{"name", name}, {"status", status}});
    });
  }
}

Result<std::shared_ptr<Container>> Agent::Find(const std::string& id) const {
  FARLET_TRY(CheckId("container id", id));
  const auto found = containers_.find(id);
  if (found == containers_.end()) {
    return NotFound("there is no container " + id);
  }
  return found->second;
}

Result<std::shared_ptr<Process>> Agent::Find(const std::string& id,
                                             const std::string& exec_id) const {
  FARLET_ASSIGN(const auto container, Find(id));
  if (exec_id.empty()) {
    return container->first;
  }
  const auto found = container->execs.find(exec_id);
  if (found == container->execs.end()) {
    return NotFound("container " + id + " has no exec " + exec_id.substr(0, 128));
  }
  return found->second;
}

Status Agent::Expect(const Container& container, ContainerState state, std::string_view what) {
  if (container.state != state) {
    return MakeError(Code::kFailedPrecondition, std::string(what) + ": container " + container.id +
                                                    " is " +
                                                    std::string(StateName(container.state)) +
                                                    ", not " + std::string(StateName(state)));
  }
  return {};
}

Status Agent::CheckPrepared() const {
  if (!prepared_) {
    return MakeError(Code::kFailedPrecondition, "the guest has not been prepared");
  }
  return {};
}

Result<v1::HelloResponse> Agent::Hello(const v1::HelloRequest& request) {
  if (request.version() != kProtocolVersion) {
    return MakeError(Code::kFailedPrecondition, "the agent speaks version " +
                                                    std::to_string(kProtocolVersion) + ", not " +
                                                    std::to_string(request.version()));
  }
  v1::HelloResponse response;
  response.set_version(kProtocolVersion);
  utsname name{};
  if (::uname(&name) == 0) {
    response.set_kernel(static_cast<const char*>(name.release));
  }
  // The kernel makes it at the first read: before the reseed, all clones of a template would get
  // the same.
  if (prepared_) {
    if (auto boot_id = ReadFile("/proc/sys/kernel/random/boot_id", 64)) {
      response.set_boot_id(boot_id->substr(0, boot_id->find('\n')));
    }
  }
  response.set_prepared(prepared_);
  return response;
}

void Agent::Shutdown(const v1::ShutdownRequest& /*request*/,
                     const Answer<v1::ShutdownResponse>& answer) {
  // Only the disk: a sync of all would wait for the file server, which may be gone.
  if (const auto disk = Open(layout_.Disk(), O_RDONLY | O_DIRECTORY)) {
    ::syncfs(disk->get());
  }
  answer(v1::ShutdownResponse());
  // A moment for the answer to get out.
  PollUntil(
      context_, [] { return false; }, std::chrono::milliseconds(10),
      [stop = stop_](bool /*ready*/) { stop(); });
}

}  // namespace farlet::guest
