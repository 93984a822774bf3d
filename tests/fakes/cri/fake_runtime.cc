#include "tests/fakes/cri/fake_runtime.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

namespace farlet::testing {
namespace {

constexpr milliseconds kPoll{5};

}  // namespace

FakeEventHub::Stream FakeEventHub::Open() {
  const std::lock_guard lock(mutex_);
  return streams_.emplace(streams_.end());
}

void FakeEventHub::Close(Stream stream) {
  const std::lock_guard lock(mutex_);
  streams_.erase(stream);
}

std::optional<FakeEvent> FakeEventHub::Next(Stream stream) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPoll, [&] { return !stream->empty(); });
  if (stream->empty()) {
    return std::nullopt;
  }
  FakeEvent event = std::move(stream->front());
  stream->pop_front();
  return event;
}

void FakeEventHub::Publish(const FakeEvent& event) {
  const std::lock_guard lock(mutex_);
  for (auto& stream : streams_) {
    stream.push_back(event);
  }
  changed_.notify_all();
}

int FakeEventHub::Streams() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(streams_.size());
}

bool FakeRuntime::Sleep(milliseconds duration, const Cancelled& cancelled) {
  const auto until = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < until) {
    if (cancelled()) {
      return false;
    }
    std::this_thread::sleep_for(std::min<milliseconds>(kPoll, duration));
  }
  return true;
}

std::string WithTag(const std::string& reference) {
  const size_t name = reference.rfind('/');
  const size_t from = name == std::string::npos ? 0 : name;
  return reference.find(':', from) == std::string::npos && reference.find('@') == std::string::npos
             ? reference + ":latest"
             : reference;
}

Result<std::string> FakeRuntime::RunSandbox(const cri::SandboxConfig& config,
                                            const std::string& handler) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, sandbox] : sandboxes_) {
    if (sandbox.config.metadata == config.metadata) {
      // containerd reserves the name made of the metadata.
      return MakeError(Code::kUnknown,
                       fmt::format("failed to reserve sandbox name \"{}_{}_{}_{}\": name is "
                                   "reserved for \"{}\"",
                                   config.metadata.name, config.metadata.pod_namespace,
                                   config.metadata.uid, config.metadata.attempt, id));
    }
  }
  const int number = ++last_number_;
  FakeSandbox sandbox{.id = fmt::format("5a{:062x}", number),
                      .config = config,
                      .runtime_handler = handler,
                      .created_at = clock_.WallNow()};
  if (config.security.namespaces.network != cri::NamespaceMode::kNode) {
    sandbox.ips = {fmt::format("10.99.{}.{}", number / 250, number % 250 + 1)};
  }
  events_.Publish({.kind = FakeEvent::Kind::kStarted, .id = sandbox.id});
  return sandboxes_.emplace(sandbox.id, sandbox).first->first;
}

void FakeRuntime::StopSandbox(const std::string& id) {
  std::unique_lock lock(mutex_);
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end()) {
    return;
  }
  for (const auto& [container_id, container] : containers_) {
    if (container.sandbox_id == id && container.state == cri::ContainerState::kRunning) {
      BeginExit(container_id, 137, "");
    }
  }
  if (found->second.state == cri::SandboxState::kReady) {
    found->second.state = cri::SandboxState::kNotReady;
    events_.Publish({.kind = FakeEvent::Kind::kExit, .id = id, .exit_code = 137});
    events_.Publish({.kind = FakeEvent::Kind::kStopped, .id = id, .exit_code = 137});
  }
}

void FakeRuntime::RemoveSandbox(const std::string& id) {
  StopSandbox(id);
  const std::lock_guard lock(mutex_);
  std::erase_if(containers_, [&](const auto& item) {
    if (item.second.sandbox_id != id) {
      return false;
    }
    events_.Publish({.kind = FakeEvent::Kind::kDeleted, .id = item.first});
    return true;
  });
  if (sandboxes_.erase(id) > 0) {
    events_.Publish({.kind = FakeEvent::Kind::kDeleted, .id = id});
  }
}

Result<std::string> FakeRuntime::CreateContainer(const std::string& sandbox_id,
                                                 const cri::ContainerConfig& config) {
  const std::lock_guard lock(mutex_);
  const auto sandbox = sandboxes_.find(sandbox_id);
  if (sandbox == sandboxes_.end()) {
    return NotFound(fmt::format("failed to find sandbox id \"{}\": not found", sandbox_id));
  }
  for (const auto& [id, container] : containers_) {
    if (container.sandbox_id == sandbox_id && container.config.metadata == config.metadata) {
      return MakeError(Code::kUnknown,
                       fmt::format("failed to reserve container name \"{}\": name is reserved for "
                                   "\"{}\"",
                                   config.metadata.name, id));
    }
  }
  FakeContainer container{.id = fmt::format("c0{:062x}", ++last_number_),
                          .sandbox_id = sandbox_id,
                          .config = config,
                          .created_at = clock_.WallNow()};
  const std::string& folder = sandbox->second.config.log_directory;
  if (!folder.empty() && !config.log_path.empty()) {
    container.log_path = folder + "/" + config.log_path;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(container.log_path).parent_path(),
                                        error);
    std::ofstream(container.log_path, std::ios::app).flush();
  }
  events_.Publish({.kind = FakeEvent::Kind::kCreated, .id = container.id});
  return containers_.emplace(container.id, container).first->first;
}

FakeCriServer::Behavior FakeRuntime::BehaviorOf(const FakeContainer& container) const {
  const auto found = behaviors_.find(container.config.metadata.name);
  return found == behaviors_.end() ? FakeCriServer::Behavior() : found->second;
}

Status FakeRuntime::StartContainer(const std::string& id) {
  FakeCriServer::Behavior behavior;
  {
    const std::lock_guard lock(mutex_);
    const auto found = containers_.find(id);
    if (found == containers_.end()) {
      return NotFound(
          fmt::format("an error occurred when try to find container \"{}\": not found", id));
    }
    FakeContainer& container = found->second;
    if (container.state != cri::ContainerState::kCreated) {
      return MakeError(Code::kUnknown, fmt::format("container \"{}\" is not created", id));
    }
    container.state = cri::ContainerState::kRunning;
    container.started_at = clock_.WallNow();
    behavior = BehaviorOf(container);
    std::istringstream output(behavior.output);
    for (std::string line; std::getline(output, line);) {
      AppendLog(container, line, "stdout", clock_.WallNow());
    }
    events_.Publish({.kind = FakeEvent::Kind::kStarted, .id = id});
  }
  if (behavior.exit_code) {
    timers_.After(behavior.run_for,
                  [this, id, exit_code = *behavior.exit_code] { Exit(id, exit_code, ""); });
  }
  return {};
}

Status FakeRuntime::StopContainer(const std::string& id,
                                  seconds grace,
                                  const Cancelled& cancelled) {
  const auto ended = [&] {
    const auto found = containers_.find(id);
    return found == containers_.end() || found->second.state != cri::ContainerState::kRunning;
  };
  std::unique_lock lock(mutex_);
  if (ended()) {
    return {};
  }
  const FakeCriServer::Behavior behavior = BehaviorOf(containers_.at(id));
  const auto kill_at = std::chrono::steady_clock::now() + grace;
  bool signalled = false;
  while (!ended()) {
    if (cancelled()) {
      return farlet::Cancelled("stop container: cancelled");
    }
    const bool kill = std::chrono::steady_clock::now() >= kill_at;
    if (!signalled && (kill || !behavior.ignore_term)) {
      signalled = true;
      BeginExit(id, behavior.ignore_term ? 137 : behavior.stop_exit_code, "");
    }
    if (!ended()) {
      changed_.wait_for(lock, kPoll);
    }
  }
  return {};
}

void FakeRuntime::RemoveContainer(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) {
    return;
  }
  if (found->second.state == cri::ContainerState::kRunning) {
    ShowExit(id, 137, "");
  }
  containers_.erase(id);
  events_.Publish({.kind = FakeEvent::Kind::kDeleted, .id = id});
}

Status FakeRuntime::ReopenLog(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  if (found == containers_.end()) {
    return NotFound("container not found");
  }
  if (found->second.state != cri::ContainerState::kRunning) {
    return MakeError(Code::kUnknown, "container is not running");
  }
  std::ofstream(found->second.log_path, std::ios::app).flush();
  return {};
}

Result<cri::ExecSyncResult> FakeRuntime::ExecSync(const std::string& id,
                                                  const std::vector<std::string>& command) {
  FakeCriServer::ExecHandler handler;
  FakeContainer container;
  {
    const std::lock_guard lock(mutex_);
    const auto found = containers_.find(id);
    if (found == containers_.end()) {
      return NotFound("failed to find container in store: not found");
    }
    if (found->second.state != cri::ContainerState::kRunning) {
      return MakeError(Code::kUnknown, "container is not running");
    }
    container = found->second;
    handler = exec_;
  }
  return handler ? handler(container, command) : cri::ExecSyncResult();
}

void FakeRuntime::BeginExit(const std::string& id, int32_t exit_code, const std::string& reason) {
  events_.Publish({.kind = FakeEvent::Kind::kExit, .id = id, .exit_code = exit_code});
  if (options_.exit_lag.count() == 0) {
    ShowExit(id, exit_code, reason);
    return;
  }
  timers_.After(options_.exit_lag, [this, id, exit_code, reason] {
    const std::lock_guard lock(mutex_);
    ShowExit(id, exit_code, reason);
  });
}

void FakeRuntime::ShowExit(const std::string& id, int32_t exit_code, const std::string& reason) {
  const auto found = containers_.find(id);
  if (found == containers_.end() || found->second.state != cri::ContainerState::kRunning) {
    return;
  }
  FakeContainer& container = found->second;
  container.state = cri::ContainerState::kExited;
  container.finished_at = clock_.WallNow();
  container.exit_code = exit_code;
  container.reason = !reason.empty() ? reason : exit_code == 0 ? "Completed" : "Error";
  events_.Publish({.kind = FakeEvent::Kind::kTaskDelete, .id = id, .exit_code = exit_code});
  events_.Publish({.kind = FakeEvent::Kind::kStopped, .id = id, .exit_code = exit_code});
  changed_.notify_all();
}

void FakeRuntime::Exit(const std::string& id, int32_t exit_code, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  if (found != containers_.end() && found->second.state == cri::ContainerState::kRunning) {
    BeginExit(id, exit_code, reason);
  }
}

void FakeRuntime::OutOfMemory(const std::string& id) {
  events_.Publish({.kind = FakeEvent::Kind::kOutOfMemory, .id = id});
  Exit(id, 137, "OOMKilled");
}

void FakeRuntime::KillSandbox(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = sandboxes_.find(id);
  if (found == sandboxes_.end() || found->second.state == cri::SandboxState::kNotReady) {
    return;
  }
  events_.Publish({.kind = FakeEvent::Kind::kExit, .id = id, .exit_code = 137});
  found->second.state = cri::SandboxState::kNotReady;
  events_.Publish({.kind = FakeEvent::Kind::kStopped, .id = id, .exit_code = 137});
}

void FakeRuntime::AppendLog(const FakeContainer& container,
                            const std::string& line,
                            const std::string& stream,
                            WallTime time) {
  if (!container.log_path.empty()) {
    std::ofstream(container.log_path, std::ios::app)
        << FormatRfc3339Nano(time) << ' ' << stream << " F " << line << '\n';
  }
}

void FakeRuntime::Log(const std::string& id, const std::string& line, const std::string& stream) {
  const std::lock_guard lock(mutex_);
  if (const auto found = containers_.find(id); found != containers_.end()) {
    AppendLog(found->second, line, stream, clock_.WallNow());
  }
}

void FakeRuntime::FailStart(const std::string& id, const std::string& message) {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  if (found != containers_.end()) {
    FakeContainer& container = found->second;
    container.state = cri::ContainerState::kExited;
    container.finished_at = clock_.WallNow();
    container.exit_code = 128;
    container.reason = "StartError";
    container.message = message;
  }
}

void FakeRuntime::SetState(const std::string& id, cri::ContainerState state) {
  const std::lock_guard lock(mutex_);
  FakeContainer& container = containers_.at(id);
  container.state = state;
  if (state == cri::ContainerState::kRunning || state == cri::ContainerState::kExited) {
    container.started_at = clock_.WallNow();
  }
  if (state == cri::ContainerState::kExited) {
    container.finished_at = clock_.WallNow();
    container.reason = "Completed";
  }
}

Result<std::string> FakeRuntime::Pull(const std::string& reference,
                                      const cri::ImageAuth& auth,
                                      const Cancelled& cancelled) {
  const std::string tagged = WithTag(reference);
  FakeCriServer::ImageSpec spec;
  {
    const std::lock_guard lock(mutex_);
    last_auth_ = auth;
    const auto found = images_.find(tagged);
    if (found == images_.end()) {
      return NotFound(
          fmt::format("failed to pull and unpack image \"{0}\": failed to resolve "
                      "reference \"{0}\": {0}: not found",
                      tagged));
    }
    ++found->second.pulls;
    spec = found->second.spec;
  }
  if (!Sleep(spec.pull_takes, cancelled)) {
    return farlet::Cancelled("pull: cancelled");
  }
  if (spec.pull_error) {
    return *spec.pull_error;
  }
  if (!spec.pull_username.empty() &&
      (auth.username != spec.pull_username || auth.password != spec.pull_password)) {
    return MakeError(Code::kUnknown,
                     fmt::format("failed to pull and unpack image \"{}\": failed to authorize: "
                                 "401 Unauthorized",
                                 tagged));
  }
  const std::lock_guard lock(mutex_);
  images_.at(tagged).present = true;
  return images_.at(tagged).spec.id;
}

std::optional<FakeRuntime::Image> FakeRuntime::FindImage(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [reference, image] : images_) {
    if (reference == WithTag(name) || image.spec.id == name) {
      return image;
    }
  }
  return std::nullopt;
}

std::vector<FakeRuntime::Image> FakeRuntime::Images() const {
  const std::lock_guard lock(mutex_);
  std::vector<Image> images;
  for (const auto& [reference, image] : images_) {
    images.push_back(image);
  }
  return images;
}

void FakeRuntime::SetImage(const std::string& reference,
                           FakeCriServer::ImageSpec spec,
                           bool present) {
  const std::lock_guard lock(mutex_);
  const std::string tagged = WithTag(reference);
  if (spec.id.empty()) {
    spec.id = fmt::format("sha256:{:064x}", std::hash<std::string>()(tagged));
  }
  Image& image = images_[tagged];
  image.reference = tagged;
  image.spec = std::move(spec);
  image.present = present;
}

cri::ImageAuth FakeRuntime::LastAuth() const {
  const std::lock_guard lock(mutex_);
  return last_auth_;
}

void FakeRuntime::SetBehavior(const std::string& name, FakeCriServer::Behavior behavior) {
  const std::lock_guard lock(mutex_);
  behaviors_[name] = std::move(behavior);
}

void FakeRuntime::SetExec(FakeCriServer::ExecHandler handler) {
  const std::lock_guard lock(mutex_);
  exec_ = std::move(handler);
}

std::vector<FakeSandbox> FakeRuntime::Sandboxes() const {
  const std::lock_guard lock(mutex_);
  std::vector<FakeSandbox> sandboxes;
  for (const auto& [id, sandbox] : sandboxes_) {
    sandboxes.push_back(sandbox);
  }
  return sandboxes;
}

std::vector<FakeContainer> FakeRuntime::Containers() const {
  const std::lock_guard lock(mutex_);
  std::vector<FakeContainer> containers;
  for (const auto& [id, container] : containers_) {
    containers.push_back(container);
  }
  return containers;
}

std::optional<FakeSandbox> FakeRuntime::Sandbox(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = sandboxes_.find(id);
  return found == sandboxes_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<FakeContainer> FakeRuntime::Container(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = containers_.find(id);
  return found == containers_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace farlet::testing
