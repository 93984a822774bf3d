#include "tests/fakes/guest/fake_guest.h"

#include <boost/asio/post.hpp>

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdlib>

namespace farlet::testing {
namespace {

namespace v1 = guest::v1;

constexpr char kService[] = "farlet.guest.v1.Agent";
constexpr uint32_t kPid = 42;
constexpr uint32_t kSignalled = 128;
constexpr uint32_t kKilled = 137;

}  // namespace

template <class Req, class Rep>
void FakeGuest::Add(const std::string& method,
                    std::function<void(const Req&, std::function<void(Result<Rep>)>)> handler) {
  server_->Method<Req, Rep>(
      kService, method, [this, method, handler](Req request, ttrpc::Server::TypedReply<Rep> reply) {
        const std::lock_guard lock(mutex_);
        ++calls_[method];
        called_.notify_all();
        if (silent_.contains(method)) {
          // Kept, or the caller would be told that it was dropped.
          static std::mutex kept_mutex;
          static std::vector<ttrpc::Server::TypedReply<Rep>> kept;
          const std::lock_guard kept_lock(kept_mutex);
          kept.push_back(reply);
          return;
        }
        if (const auto refused = refused_.find(method); refused != refused_.end()) {
          reply(refused->second);
          return;
        }
        handler(request, reply);
      });
}

FakeGuest::FakeGuest() : work_(io_.get_executor()), server_(std::make_unique<ttrpc::Server>(io_)) {
  AddContainers();
  AddStreams();
  AddControl();
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    std::abort();
  }
  host_end_ = UniqueFd(ends[0]);
  server_->Serve(UniqueFd(ends[1]));
  thread_ = std::thread([this] { io_.run(); });
}

FakeGuest::~FakeGuest() {
  boost::asio::post(io_, [this] {
    server_->Close();
    work_.reset();
  });
  thread_.join();
  server_.reset();
  // What waits for a process holds it.
  for (const auto& [key, process] : processes_) {
    process->reader.clear();
    process->waiting.clear();
  }
}

UniqueFd FakeGuest::TakeAgent() {
  return std::move(host_end_);
}

void FakeGuest::Die() {
  boost::asio::post(io_, [this] { server_->Close(); });
}

void FakeGuest::Silence(const std::string& method) {
  const std::lock_guard lock(mutex_);
  silent_.insert(method);
}

void FakeGuest::Refuse(const std::string& method, const Error& error) {
  const std::lock_guard lock(mutex_);
  refused_[method] = error;
}

void FakeGuest::RunOutOfMemory(const std::string& container, bool kill) {
  boost::asio::post(io_, [this, container, kill] {
    const std::lock_guard lock(mutex_);
    oom_.push_back(container);
    TellEvents();
    if (Process* const process = Find(container, ""); process != nullptr && kill) {
      process->oom_killed = true;
      End(*process, kKilled);
    }
  });
}

std::vector<v1::PrepareRequest> FakeGuest::prepared() {
  const std::lock_guard lock(mutex_);
  return prepared_;
}

std::vector<v1::CreateContainerRequest> FakeGuest::created() {
  const std::lock_guard lock(mutex_);
  return created_;
}

std::vector<v1::SyncVolumeRequest> FakeGuest::synced() {
  const std::lock_guard lock(mutex_);
  return synced_;
}

std::vector<v1::ResizeTerminalRequest> FakeGuest::resized() {
  const std::lock_guard lock(mutex_);
  return resized_;
}

std::vector<v1::UpdateRequest> FakeGuest::updated() {
  const std::lock_guard lock(mutex_);
  return updated_;
}

std::set<std::string> FakeGuest::containers() {
  const std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (const auto& [key, process] : processes_) {
    names.insert(key.first);
  }
  return names;
}

bool FakeGuest::WaitForCalls(const std::string& method, int count) {
  std::unique_lock lock(mutex_);
  return called_.wait_for(lock, std::chrono::seconds(10), [&] { return calls_[method] >= count; });
}

FakeGuest::Process* FakeGuest::Find(const std::string& container, const std::string& exec) {
  const auto found = processes_.find({container, exec});
  return found == processes_.end() ? nullptr : found->second.get();
}

void FakeGuest::Run(Process& process) {
  process.started = true;
  const auto& args = process.spec.args();
  if (args[0] == "echo" || args[0] == "err") {
    std::string text;
    for (int i = 1; i < args.size(); ++i) {
      text += (i > 1 ? " " : "") + args[i];
    }
    process.output[args[0] == "err" ? 2 : 1] = text + "\n";
    End(process, 0);
  } else if (args[0] == "exit") {
    End(process, static_cast<uint32_t>(std::stoul(args[1])));
  }
}

void FakeGuest::End(Process& process, uint32_t status) {
  if (process.ended) {
    return;
  }
  process.ended = true;
  process.status = status;
  for (const auto& waiting : std::exchange(process.waiting, {})) {
    waiting();
  }
  Wake(process);
}

void FakeGuest::Wake(Process& process) {
  for (const auto& [stream, reader] : std::exchange(process.reader, {})) {
    reader();
  }
}

void FakeGuest::TellEvents() {
  if (!event_reader_ || oom_.empty()) {
    return;
  }
  v1::NextEventsResponse response;
  for (const auto& container : std::exchange(oom_, {})) {
    response.add_events()->mutable_oom()->set_container_id(container);
  }
  std::exchange(event_reader_, nullptr)(response);
}

void FakeGuest::AddContainers() {
  Add<v1::PrepareRequest, v1::PrepareResponse>("Prepare", [this](const auto& request, auto reply) {
    prepared_.push_back(request);
    reply(v1::PrepareResponse());
  });
  Add<v1::CreateContainerRequest, v1::CreateContainerResponse>(
      "CreateContainer", [this](const auto& request, auto reply) {
        created_.push_back(request);
        auto process = std::make_shared<Process>();
        process->spec = request.process();
        processes_[{request.id(), ""}] = std::move(process);
        v1::CreateContainerResponse response;
        response.set_pid(kPid);
        reply(response);
      });
  Add<v1::StartContainerRequest, v1::StartContainerResponse>(
      "StartContainer", [this](const auto& request, auto reply) {
        Process* const process = Find(request.id(), "");
        if (process == nullptr) {
          reply(NotFound("container"));
        } else if (process->spec.args(0) == "missing") {
          End(*process, kSignalled - 1);
          reply(MakeError(Code::kUnknown, "exec: \"missing\": executable file not found in $PATH"));
        } else {
          Run(*process);
          reply(v1::StartContainerResponse());
        }
      });
  Add<v1::ExecRequest, v1::ExecResponse>("Exec", [this](const auto& request, auto reply) {
    if (request.process().args(0) == "missing") {
      reply(MakeError(Code::kUnknown, "exec: \"missing\": executable file not found in $PATH"));
      return;
    }
    auto process = std::make_shared<Process>();
    process->spec = request.process();
    processes_[{request.container_id(), request.exec_id()}] = process;
    Run(*process);
    v1::ExecResponse response;
    response.set_pid(kPid + 1);
    reply(response);
  });
  Add<v1::DeleteExecRequest, v1::DeleteExecResponse>(
      "DeleteExec", [this](const auto& request, auto reply) {
        processes_.erase({request.container_id(), request.exec_id()});
        reply(v1::DeleteExecResponse());
      });
  Add<v1::DeleteContainerRequest, v1::DeleteContainerResponse>(
      "DeleteContainer", [this](const auto& request, auto reply) {
        for (auto entry = processes_.begin(); entry != processes_.end();) {
          if (entry->first.first != request.id()) {
            ++entry;
            continue;
          }
          End(*entry->second, kKilled);
          entry = processes_.erase(entry);
        }
        reply(v1::DeleteContainerResponse());
      });
}

void FakeGuest::AddStreams() {
  Add<v1::WaitRequest, v1::WaitResponse>("Wait", [this](const auto& request, auto reply) {
    const auto found = processes_.find({request.container_id(), request.exec_id()});
    if (found == processes_.end()) {
      reply(NotFound("process"));
      return;
    }
    const auto answer = [process = found->second, reply] {
      v1::WaitResponse response;
      response.set_exit_status(process->status);
      response.set_oom_killed(process->oom_killed);
      reply(response);
    };
    found->second->ended ? answer() : found->second->waiting.push_back(answer);
  });
  Add<v1::ReadOutputRequest, v1::ReadOutputResponse>(
      "ReadOutput", [this](const auto& request, auto reply) {
        const auto found = processes_.find({request.container_id(), request.exec_id()});
        if (found == processes_.end()) {
          reply(NotFound("process"));
          return;
        }
        const auto answer = [process = found->second, stream = request.stream(), reply] {
          v1::ReadOutputResponse response;
          response.set_data(std::exchange(process->output[stream], {}));
          response.set_eof(response.data().empty());
          reply(response);
        };
        const bool ready = found->second->ended || !found->second->output[request.stream()].empty();
        if (ready) {
          answer();
        } else {
          found->second->reader[request.stream()] = answer;
        }
      });
  Add<v1::WriteInputRequest, v1::WriteInputResponse>(
      "WriteInput", [this](const auto& request, auto reply) {
        Process* const process = Find(request.container_id(), request.exec_id());
        if (process == nullptr || process->ended || !process->spec.stdin()) {
          reply(MakeError(Code::kFailedPrecondition, "nobody reads"));
          return;
        }
        if (process->spec.args(0) == "cat") {
          process->output[1] += request.data();
          Wake(*process);
        }
        v1::WriteInputResponse response;
        response.set_written(static_cast<uint32_t>(request.data().size()));
        reply(response);
      });
  Add<v1::CloseInputRequest, v1::CloseInputResponse>(
      "CloseInput", [this](const auto& request, auto reply) {
        Process* const process = Find(request.container_id(), request.exec_id());
        if (process != nullptr && process->spec.args(0) == "cat") {
          End(*process, 0);
        }
        reply(v1::CloseInputResponse());
      });
}

void FakeGuest::AddControl() {
  Add<v1::SignalRequest, v1::SignalResponse>("Signal", [this](const auto& request, auto reply) {
    Process* const process = Find(request.container_id(), request.exec_id());
    if (process == nullptr) {
      reply(NotFound("process"));
      return;
    }
    reply(v1::SignalResponse());
    End(*process, kSignalled + request.signal());
  });
  Add<v1::ResizeTerminalRequest, v1::ResizeTerminalResponse>(
      "ResizeTerminal", [this](const auto& request, auto reply) {
        resized_.push_back(request);
        reply(v1::ResizeTerminalResponse());
      });
  Add<v1::UpdateRequest, v1::UpdateResponse>("Update", [this](const auto& request, auto reply) {
    updated_.push_back(request);
    reply(v1::UpdateResponse());
  });
  Add<v1::PauseRequest, v1::PauseResponse>(
      "Pause", [](const auto& /*request*/, auto reply) { reply(v1::PauseResponse()); });
  Add<v1::ResumeRequest, v1::ResumeResponse>(
      "Resume", [](const auto& /*request*/, auto reply) { reply(v1::ResumeResponse()); });
  Add<v1::StatsRequest, v1::StatsResponse>("Stats", [](const auto& /*request*/, auto reply) {
    v1::StatsResponse response;
    response.mutable_cpu()->set_usage_us(3000);
    response.mutable_cpu()->set_user_us(2000);
    response.mutable_cpu()->set_system_us(1000);
    response.mutable_memory()->set_current(4096);
    response.mutable_pids()->set_current(2);
    reply(response);
  });
  Add<v1::PodStatsRequest, v1::PodStatsResponse>(
      "PodStats", [](const auto& /*request*/, auto reply) { reply(v1::PodStatsResponse()); });
  Add<v1::ListProcessesRequest, v1::ListProcessesResponse>(
      "ListProcesses", [this](const auto& request, auto reply) {
        v1::ListProcessesResponse response;
        for (const auto& [key, process] : processes_) {
          if (key.first == request.id() && !process->ended) {
            response.add_processes()->set_exec_id(key.second);
          }
        }
        reply(response);
      });
  Add<v1::NextEventsRequest, v1::NextEventsResponse>("NextEvents",
                                                     [this](const auto& /*request*/, auto reply) {
                                                       event_reader_ = reply;
                                                       TellEvents();
                                                     });
  Add<v1::SyncVolumeRequest, v1::SyncVolumeResponse>("SyncVolume",
                                                     [this](const auto& request, auto reply) {
                                                       synced_.push_back(request);
                                                       reply(v1::SyncVolumeResponse());
                                                     });
}

}  // namespace farlet::testing
