#include "runtime/cri/lost_task.h"

#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <csignal>
#include <memory>
#include <string_view>
#include <utility>

namespace farlet::cri {
namespace {

namespace tasks = ::containerd::services::tasks::v1;

constexpr std::string_view kRefusal = "cannot delete running task ";
constexpr size_t kLongestId = 128;

// Kill, wait for the end, delete: its steps run on the client's threads.
struct TaskEnd : std::enable_shared_from_this<TaskEnd> {
  using Async = tasks::Tasks::StubInterface::async_interface;

  CallScope& scope;
  tasks::Tasks::Stub& stub;
  std::string container;
  StatusCallback done;

  TaskEnd(CallScope& calls, tasks::Tasks::Stub& service) : scope(calls), stub(service) {}

  template <class Request, class Response>
  void Step(const char* name,
            void (Async::*method)(
                grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>),
            Request request,
            void (TaskEnd::*next)()) {
    request.set_container_id(container);
    StartUnary<void>(scope, name, stub.async(), method, std::move(request), deadlines::kCall,
                     kIgnoreAnswer, [self = shared_from_this(), next](const Result<void>& result) {
                       self->After(result, next);
                     });
  }

  void After(const Result<void>& result, void (TaskEnd::*next)()) {
    if (result) {
      (this->*next)();
    } else if (result.error().code == Code::kNotFound) {
      Finish();
    } else if (result.error().code == Code::kFailedPrecondition && next == &TaskEnd::Wait) {
      Wait();  // it had ended by itself
    } else {
      std::exchange(done, nullptr)(result);
    }
  }

  void Kill() {
    tasks::KillRequest request;
    request.set_signal(SIGKILL);
    request.set_all(true);
    Step("Tasks/Kill", &Async::Kill, std::move(request), &TaskEnd::Wait);
  }

  void Wait() { Step("Tasks/Wait", &Async::Wait, tasks::WaitRequest(), &TaskEnd::Delete); }

  void Delete() {
    Step("Tasks/Delete", &Async::Delete, tasks::DeleteTaskRequest(), &TaskEnd::Finish);
  }

  void Finish() { std::exchange(done, nullptr)({}); }
};

}  // namespace

std::optional<std::string> LostTaskOf(const Error& error) {
  const std::string_view message = error.message;
  const size_t start = message.find(kRefusal);
  if (start == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view rest = message.substr(start + kRefusal.size());
  const std::string_view id = rest.substr(0, rest.find_first_not_of("0123456789abcdef"));
  if (id.empty() || id.size() > kLongestId) {
    return std::nullopt;
  }
  return std::string(id);
}

void EndTask(CallScope& scope,
             tasks::Tasks::Stub& stub,
             const std::string& container,
             StatusCallback done) {
  auto end = std::make_shared<TaskEnd>(scope, stub);
  end->container = container;
  end->done = std::move(done);
  end->Kill();
}

}  // namespace farlet::cri
