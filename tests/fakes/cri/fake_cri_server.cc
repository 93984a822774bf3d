#include "tests/fakes/cri/fake_cri_server.h"

#include "tests/fakes/cri/fake_services.h"

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <utility>

namespace farlet::testing {

class FakeCriServer::Impl {
 public:
  explicit Impl(Options options) : backend_(std::move(options)) {
    std::string folder = (std::filesystem::temp_directory_path() / "fakecri-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      throw std::runtime_error("cannot create " + folder);
    }
    folder_ = folder;
    backend_.conditions = {{.type = "RuntimeReady", .status = true},
                           {.type = "NetworkReady", .status = true}};
    backend_.stopping = [this] { return stopping_.load(); };
    backend_.serve = [this](const auto& rpc, const auto& subject, const auto& cancelled,
                            const auto& effect) { return Serve(rpc, subject, cancelled, effect); };
    Start();
  }

  ~Impl() {
    Stop();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  std::string Socket() const { return folder_ + "/cri.sock"; }

  void Start() {
    stopping_ = false;
    services_ = MakeFakeServices(backend_);
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + Socket(), grpc::InsecureServerCredentials());
    for (const auto& service : services_) {
      builder.RegisterService(service.get());
    }
    server_ = builder.BuildAndStart();
    if (!server_) {
      throw std::runtime_error("cannot listen on " + Socket());
    }
  }

  void Stop() {
    if (!server_) {
      return;
    }
    stopping_ = true;
    changed_.notify_all();
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
    services_.clear();
  }

  FakeBackend& backend() { return backend_; }

  void Inject(Fault fault) {
    const std::lock_guard lock(mutex_);
    released_.erase(fault.rpc);
    faults_.push_back(std::move(fault));
  }

  void ClearFaults() {
    const std::lock_guard lock(mutex_);
    for (const Fault& fault : faults_) {
      released_.insert(fault.rpc);
    }
    faults_.clear();
    changed_.notify_all();
  }

  void Release(const std::string& rpc) {
    const std::lock_guard lock(mutex_);
    released_.insert(rpc);
    changed_.notify_all();
  }

  int Held(const std::string& rpc) const {
    const std::lock_guard lock(mutex_);
    const auto found = held_.find(rpc);
    return found == held_.end() ? 0 : found->second;
  }

  int Calls(const std::string& rpc) const {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(rpc);
    return found == calls_.end() ? 0 : found->second;
  }

  int TotalCalls() const {
    const std::lock_guard lock(mutex_);
    int total = 0;
    for (const auto& [rpc, count] : calls_) {
      total += count;
    }
    return total;
  }

  void ResetCalls() {
    const std::lock_guard lock(mutex_);
    calls_.clear();
  }

 private:
  Status Serve(const std::string& rpc,
               const std::string& subject,
               const FakeRuntime::Cancelled& cancelled,
               const std::function<Status()>& effect) {
    {
      const std::lock_guard lock(mutex_);
      ++calls_[rpc];
    }
    const auto names = NamesOf(subject);
    FARLET_TRY(ActOut(TakeFault(rpc, names, Fault::When::kBefore), cancelled));
    const auto after = TakeFault(rpc, names, Fault::When::kAfter);
    Status outcome = effect();
    FARLET_TRY(ActOut(after, cancelled));
    return outcome;
  }

  // What a fault may call the thing that a call is about.
  std::set<std::string> NamesOf(const std::string& subject) const {
    std::set<std::string> names{subject};
    if (const auto container = backend_.runtime.Container(subject)) {
      names.insert(container->config.metadata.name);
    }
    if (const auto sandbox = backend_.runtime.Sandbox(subject)) {
      names.insert(sandbox->config.metadata.name);
    }
    return names;
  }

  std::optional<Fault> TakeFault(const std::string& rpc,
                                 const std::set<std::string>& names,
                                 Fault::When when) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(faults_.begin(), faults_.end(), [&](const Fault& fault) {
      return fault.rpc == rpc && fault.when == when &&
             (fault.subject.empty() || names.contains(fault.subject));
    });
    if (found == faults_.end()) {
      return std::nullopt;
    }
    Fault fault = *found;
    if (found->times > 0 && --found->times == 0) {
      faults_.erase(found);
    }
    return fault;
  }

  Status ActOut(const std::optional<Fault>& fault, const FakeRuntime::Cancelled& cancelled) {
    if (!fault) {
      return {};
    }
    FakeRuntime::Sleep(fault->delay, cancelled);
    if (fault->hold) {
      std::unique_lock lock(mutex_);
      ++held_[fault->rpc];
      while (!released_.contains(fault->rpc) && !cancelled()) {
        changed_.wait_for(lock, milliseconds(5));
      }
      --held_[fault->rpc];
    }
    return fault->error ? Status(*fault->error) : Status();
  }

  FakeBackend backend_;
  std::string folder_;
  std::atomic<bool> stopping_{false};
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<Fault> faults_;
  std::set<std::string> released_;
  std::map<std::string, int> held_;
  std::map<std::string, int> calls_;
};

FakeCriServer::FakeCriServer() : FakeCriServer(Options()) {}

FakeCriServer::FakeCriServer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

FakeCriServer::~FakeCriServer() = default;

std::string FakeCriServer::endpoint() const {
  return "unix://" + impl_->Socket();
}

void FakeCriServer::Stop() {
  impl_->Stop();
}

void FakeCriServer::Start() {
  impl_->Start();
}

void FakeCriServer::SetCriEvents(bool enabled) {
  const std::lock_guard lock(impl_->backend().mutex);
  impl_->backend().options.cri_events = enabled;
}

void FakeCriServer::Inject(Fault fault) {
  impl_->Inject(std::move(fault));
}

void FakeCriServer::ClearFaults() {
  impl_->ClearFaults();
}

void FakeCriServer::Release(const std::string& rpc) {
  impl_->Release(rpc);
}

int FakeCriServer::Held(const std::string& rpc) const {
  return impl_->Held(rpc);
}

int FakeCriServer::Calls(const std::string& rpc) const {
  return impl_->Calls(rpc);
}

int FakeCriServer::TotalCalls() const {
  return impl_->TotalCalls();
}

void FakeCriServer::ResetCalls() {
  impl_->ResetCalls();
}

void FakeCriServer::AddImage(const std::string& reference) {
  AddImage(reference, ImageSpec());
}

void FakeCriServer::AddImage(const std::string& reference, ImageSpec spec) {
  impl_->backend().runtime.SetImage(reference, std::move(spec), /*present=*/true);
}

void FakeCriServer::AddRemoteImage(const std::string& reference, ImageSpec spec) {
  impl_->backend().runtime.SetImage(reference, std::move(spec), /*present=*/false);
}

bool FakeCriServer::HasImage(const std::string& reference) const {
  const auto image = impl_->backend().runtime.FindImage(reference);
  return image && image->present;
}

cri::ImageAuth FakeCriServer::LastAuth() const {
  return impl_->backend().runtime.LastAuth();
}

void FakeCriServer::SetBehavior(const std::string& container_name, Behavior behavior) {
  impl_->backend().runtime.SetBehavior(container_name, std::move(behavior));
}

void FakeCriServer::Exit(const std::string& container_id,
                         int32_t exit_code,
                         const std::string& reason) {
  impl_->backend().runtime.Exit(container_id, exit_code, reason);
}

void FakeCriServer::OutOfMemory(const std::string& container_id) {
  impl_->backend().runtime.OutOfMemory(container_id);
}

void FakeCriServer::KillSandbox(const std::string& sandbox_id) {
  impl_->backend().runtime.KillSandbox(sandbox_id);
}

void FakeCriServer::LoseTask(const std::string& container_id) {
  impl_->backend().runtime.FailStart(container_id,
                                     "failed to create containerd task: context canceled");
  const std::lock_guard lock(impl_->backend().mutex);
  impl_->backend().lost_tasks[container_id] = true;
}

size_t FakeCriServer::LostTasks() const {
  const std::lock_guard lock(impl_->backend().mutex);
  return impl_->backend().lost_tasks.size();
}

void FakeCriServer::Log(const std::string& container_id,
                        const std::string& line,
                        const std::string& stream) {
  impl_->backend().runtime.Log(container_id, line, stream);
}

std::string FakeCriServer::AddSandbox(const cri::SandboxConfig& config) {
  return impl_->backend().runtime.RunSandbox(config, "runc").value();
}

std::string FakeCriServer::AddContainer(const std::string& sandbox_id,
                                        const cri::ContainerConfig& config,
                                        cri::ContainerState state) {
  FakeRuntime& runtime = impl_->backend().runtime;
  const std::string id = runtime.CreateContainer(sandbox_id, config).value();
  runtime.SetState(id, state);
  return id;
}

std::vector<FakeSandbox> FakeCriServer::Sandboxes() const {
  return impl_->backend().runtime.Sandboxes();
}

std::vector<FakeContainer> FakeCriServer::Containers() const {
  return impl_->backend().runtime.Containers();
}

std::optional<FakeContainer> FakeCriServer::Container(const std::string& id) const {
  return impl_->backend().runtime.Container(id);
}

std::optional<FakeSandbox> FakeCriServer::FindSandbox(const std::string& pod_name) const {
  std::optional<FakeSandbox> newest;
  for (const FakeSandbox& sandbox : Sandboxes()) {
    if (sandbox.config.metadata.name == pod_name) {
      newest = sandbox;  // ids grow
    }
  }
  return newest;
}

std::optional<FakeContainer> FakeCriServer::FindContainer(const std::string& pod_name,
                                                          const std::string& container_name) const {
  std::optional<FakeContainer> newest;
  for (const FakeContainer& container : Containers()) {
    const auto sandbox = impl_->backend().runtime.Sandbox(container.sandbox_id);
    if (container.config.metadata.name == container_name && sandbox &&
        sandbox->config.metadata.name == pod_name) {
      newest = container;
    }
  }
  return newest;
}

int FakeCriServer::Pulls(const std::string& reference) const {
  const auto image = impl_->backend().runtime.FindImage(reference);
  return image ? image->pulls : 0;
}

void FakeCriServer::SetExec(ExecHandler handler) {
  impl_->backend().runtime.SetExec(std::move(handler));
}

void FakeCriServer::SetStreamUrl(const std::string& url) {
  const std::lock_guard lock(impl_->backend().mutex);
  impl_->backend().stream_url = url;
}

cri::StreamOptions FakeCriServer::LastStream() const {
  const std::lock_guard lock(impl_->backend().mutex);
  return impl_->backend().last_stream;
}

void FakeCriServer::SetConditions(std::vector<cri::RuntimeCondition> conditions) {
  const std::lock_guard lock(impl_->backend().mutex);
  impl_->backend().conditions = std::move(conditions);
}

std::string FakeCriServer::PodCidr() const {
  const std::lock_guard lock(impl_->backend().mutex);
  return impl_->backend().pod_cidr;
}

int FakeCriServer::EventStreams() const {
  return impl_->backend().events.Streams();
}

}  // namespace farlet::testing
