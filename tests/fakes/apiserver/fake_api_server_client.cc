#include "tests/fakes/apiserver/fake_api_server_client.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace farlet::testing {
namespace {

using kube::CallOptions;
using kube::PatchType;

Code CodeOf(int status, const std::string& reason) {
  switch (status) {
    case 400:
    case 422:
      return Code::kInvalidArgument;
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 409:
      return reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kAborted;
    case 410:
      return Code::kOutOfRange;
    case 429:
      return Code::kResourceExhausted;
    case 504:
      return Code::kDeadlineExceeded;
    default:
      return Code::kUnavailable;
  }
}

Error ErrorOf(const std::string& what, int status, const Json& body) {
  const std::string reason = body.is_object() ? body.value("reason", "") : "";
  const std::string message = body.is_object() ? body.value("message", "") : "";
  Error error = MakeError(CodeOf(status, reason), what + ": " + message);
  error.reason = reason;
  error.http_status = status;
  return error;
}

Result<Json> ResultOf(const ApiCall& call, ApiReply reply) {
  const std::string what = call.verb + " " + call.path;
  if (reply.drop) {
    return Unavailable(what + ": connection closed");
  }
  if (reply.status >= 200 && reply.status < 300) {
    return std::move(reply.body);
  }
  Error error = ErrorOf(what, reply.status, reply.body);
  if (reply.retry_after) {
    error.retry_after = *reply.retry_after;
  }
  return error;
}

}  // namespace

// Runs tasks at their time, in order, on one thread.
class FakeApiClient::Dispatcher {
 public:
  using Task = std::function<void(bool cancelled)>;

  Dispatcher() : thread_([this] { Run(); }) {}

  ~Dispatcher() { Stop(); }

  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  void Post(Task task, std::chrono::milliseconds delay = std::chrono::milliseconds(0)) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.emplace(std::make_pair(std::chrono::steady_clock::now() + delay, next_++),
                     std::move(task));
    }
    changed_.notify_all();
  }

  void Hold(bool held) {
    {
      const std::lock_guard lock(mutex_);
      held_ = held;
    }
    changed_.notify_all();
  }

  std::mutex streams_mutex;  // guards streams
  std::set<Stream*> streams;

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (tasks_.empty() || (held_ && !stopping_)) {
        if (stopping_) {
          return;
        }
        changed_.wait(lock);
        continue;
      }
      const auto due = tasks_.begin()->first.first;
      if (!stopping_ && due > std::chrono::steady_clock::now()) {
        changed_.wait_until(lock, due);
        continue;
      }
      const Task task = std::move(tasks_.begin()->second);
      tasks_.erase(tasks_.begin());
      const bool cancelled = stopping_;
      lock.unlock();
      task(cancelled);
      lock.lock();
    }
  }

  std::mutex mutex_;  // guards all below but thread_
  std::condition_variable changed_;
  bool stopping_ = false;
  bool held_ = false;
  uint64_t next_ = 0;
  std::map<std::pair<std::chrono::steady_clock::time_point, uint64_t>, Task> tasks_;
  std::thread thread_;
};

class FakeApiClient::Stream final : public kube::WatchStream {
 public:
  Stream(FakeApiCore& core, std::shared_ptr<Dispatcher> dispatcher, kube::WatchHandlers handlers)
      : core_(core),
        dispatcher_(std::move(dispatcher)),
        shared_(std::make_shared<Shared>(std::move(handlers))) {
    const std::lock_guard lock(dispatcher_->streams_mutex);
    dispatcher_->streams.insert(this);
  }

  ~Stream() override {
    {
      const std::lock_guard lock(dispatcher_->streams_mutex);
      dispatcher_->streams.erase(this);
    }
    if (id_ != 0) {
      core_.Unwatch(id_);
    }
    const std::lock_guard lock(shared_->mutex);
    shared_->open = false;
  }

  void Open(const ApiCall& call) {
    const std::shared_ptr<Shared> shared = shared_;
    const std::shared_ptr<Dispatcher> dispatcher = dispatcher_;
    const std::string what = "WATCH " + call.path;
    const ApiReply reply = core_.Watch(
        call,
        [shared, dispatcher, what](const Json& event) {
          if (event.value("type", "") == "ERROR") {
            const Json& status = event["object"];
            PostEnd(shared, *dispatcher, ErrorOf(what, status.value("code", 500), status));
          } else {
            dispatcher->Post([shared, event](bool cancelled) {
              const std::lock_guard lock(shared->mutex);
              if (shared->open && !cancelled) {
                shared->handlers.on_event(event);
              }
            });
          }
        },
        [shared, dispatcher] { PostEnd(shared, *dispatcher, Status()); }, id_);
    if (reply.drop || reply.status != 200) {
      PostEnd(shared_, *dispatcher_, ResultOf(call, reply).error());
    }
  }

  void Break() { PostEnd(shared_, *dispatcher_, Unavailable("the connection was lost")); }

 private:
  struct Shared {
    explicit Shared(kube::WatchHandlers own) : handlers(std::move(own)) {}

    std::mutex mutex;  // held while a handler runs
    bool open = true;
    kube::WatchHandlers handlers;
  };

  static void PostEnd(const std::shared_ptr<Shared>& shared, Dispatcher& dispatcher, Status end) {
    dispatcher.Post([shared, end](bool cancelled) {
      const std::lock_guard lock(shared->mutex);
      if (shared->open && !cancelled) {
        shared->open = false;
        shared->handlers.on_end(end);
      }
    });
  }

  FakeApiCore& core_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  const std::shared_ptr<Shared> shared_;
  uint64_t id_ = 0;
};

FakeApiClient::FakeApiClient(FakeApiCore& core)
    : core_(core), dispatcher_(std::make_shared<Dispatcher>()) {}

FakeApiClient::~FakeApiClient() {
  dispatcher_->Stop();
}

void FakeApiClient::Call(ApiCall call, Callback<Json> done) {
  ApiReply reply = core_.Serve(call);
  const std::chrono::milliseconds delay = reply.delay;
  dispatcher_->Post(
      [result = ResultOf(call, std::move(reply)), done = std::move(done)](bool cancelled) {
        done(cancelled ? Result<Json>(Cancelled("the client is going")) : result);
      },
      delay);
}

void FakeApiClient::Get(const std::string& path,
                        const kube::Query& query,
                        const CallOptions& /*options*/,
                        Callback<Json> done) {
  Call({.verb = "GET", .path = path, .query = query}, std::move(done));
}

void FakeApiClient::Create(const std::string& path,
                           const Json& object,
                           const CallOptions& /*options*/,
                           Callback<Json> done) {
  Call({.verb = "POST", .path = path, .body = object}, std::move(done));
}

void FakeApiClient::Replace(const std::string& path,
                            const Json& object,
                            const CallOptions& /*options*/,
                            Callback<Json> done) {
  Call({.verb = "PUT", .path = path, .body = object}, std::move(done));
}

void FakeApiClient::Patch(const std::string& path,
                          PatchType type,
                          const Json& patch,
                          const CallOptions& /*options*/,
                          Callback<Json> done) {
  const char* media = type == PatchType::kStrategicMerge ? "application/strategic-merge-patch+json"
                      : type == PatchType::kMerge        ? "application/merge-patch+json"
                                                         : "application/json-patch+json";
  Call({.verb = "PATCH", .path = path, .content_type = media, .body = patch}, std::move(done));
}

void FakeApiClient::Delete(const std::string& path,
                           const kube::DeleteOptions& what,
                           const CallOptions& /*options*/,
                           Callback<Json> done) {
  Json body = Json::object();
  if (what.grace_period_seconds) {
    body["gracePeriodSeconds"] = *what.grace_period_seconds;
  }
  if (!what.precondition_uid.empty()) {
    body["preconditions"]["uid"] = what.precondition_uid;
  }
  if (!what.precondition_resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = what.precondition_resource_version;
  }
  Call({.verb = "DELETE", .path = path, .body = std::move(body)}, std::move(done));
}

std::unique_ptr<kube::WatchStream> FakeApiClient::Watch(const std::string& path,
                                                        const kube::WatchOptions& options,
                                                        kube::WatchHandlers handlers) {
  auto stream = std::make_unique<Stream>(core_, dispatcher_, std::move(handlers));
  ApiCall call{.verb = "GET", .path = path, .query = options.query};
  call.query["watch"] = "true";
  stream->Open(call);
  return stream;
}

void FakeApiClient::Hold(bool held) {
  dispatcher_->Hold(held);
}

void FakeApiClient::BreakWatches() {
  const std::lock_guard lock(dispatcher_->streams_mutex);
  for (Stream* stream : dispatcher_->streams) {
    stream->Break();
  }
}

}  // namespace farlet::testing
