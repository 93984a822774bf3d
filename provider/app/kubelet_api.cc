#include "provider/app/kubelet_api.h"

#include "provider/server/api_review.h"
#include "runtime/base/backoff.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <mutex>
#include <utility>
#include <vector>

namespace farlet::app {
namespace {

constexpr BackoffPolicy kListenRetry{.initial = milliseconds(500), .max = milliseconds(15'000)};

server::ServerOptions OptionsOf(const NodeConfig& config) {
  return {.address = config.address,
          .port = static_cast<uint16_t>(config.port),
          .healthz_port = static_cast<uint16_t>(config.healthz_port),
          .client_ca_file = config.client_ca_file.string()};
}

// The logs of the containers that run and are ours.
std::vector<server::RunningLog> RunningLogs(const cri::RuntimeCache& cache,
                                            const std::string& node_name) {
  std::vector<server::RunningLog> logs;
  for (const cri::PodRuntimePtr& pod : cache.All()) {
    for (const cri::ContainerView& container : pod->containers) {
      const auto owner = container.status.labels.find(cri::labels::kOwner);
      const bool ours = owner != container.status.labels.end() && owner->second == node_name;
      if (ours && container.status.state == cri::ContainerState::kRunning &&
          !container.status.log_path.empty()) {
        logs.push_back(
            {.container_id = container.status.id.value, .path = container.status.log_path});
      }
    }
  }
  return logs;
}

}  // namespace

// Opens both listeners; a port that is taken is said and tried again.
class KubeletApi::Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(server::Server& server, TimerService& timers, bool healthz)
      : server_(server), timers_(timers), healthz_due_(healthz) {}

  void Try() {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      return;
    }
    if (api_due_) {
      api_due_ = !Open("kubelet API", server_.Listen());
    }
    if (healthz_due_) {
      healthz_due_ = !Open("healthz", server_.ListenHealthz());
    }
    if (api_due_ || healthz_due_) {
      timer_ = timers_.After(backoff_.Next(), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
          self->Try();
        }
      });
    }
  }

  void Stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    timers_.Cancel(timer_);
  }

 private:
  static bool Open(const char* what, const Status& opened) {
    if (!opened) {
      log::Warning("cannot listen, trying again", {{"for", what}, {"error", opened.error()}});
    }
    return opened.has_value();
  }

  server::Server& server_;
  TimerService& timers_;
  std::mutex mutex_;  // guards all below
  bool stopped_ = false;
  bool api_due_ = true;
  bool healthz_due_;
  Backoff backoff_{kListenRetry};
  TimerService::Id timer_ = 0;
};

KubeletApi::KubeletApi(const NodeConfig& config,
                       const std::string& ip,
                       const HandlerDependencies& answers,
                       TimerService& timers,
                       kube::Client& client)
    : config_(config),
      server_(OptionsOf(config),
              MakeKubeletHandlers(answers, config),
              server::MakeTokenReview(client),
              server::MakeSubjectAccessReview(client, config.node_name),
              answers.clock),
      certificate_(
          answers.clock,
          timers,
          {.node_name = config.node_name,
           .ips = {ip},
           .cert_dir = config.cert_dir,
           .client = config.server_tls_bootstrap ? &client : nullptr,
           .on_pair =
               [this](const node::KeyPair& pair) {
                 const Status set = server_.SetCertificate(pair.certificate_pem, pair.key_pem);
                 if (!set) {
                   log::Error("cannot use the serving certificate", {{"error", set.error()}});
                 }
               }}),
      listener_(std::make_shared<Listener>(server_, timers, config.healthz_port != 0)) {
  const server::LogRotationHooks hooks{
      .running_logs =
          [&cache = answers.cache, node = config.node_name](
              Callback<std::vector<server::RunningLog>> done) { done(RunningLogs(cache, node)); },
      .reopen =
          [&runtime = answers.runtime](const std::string& id, StatusCallback done) {
            runtime.ReopenContainerLog(cri::ContainerId{id}, std::move(done));
          }};
  rotation_ = std::make_unique<server::LogRotation>(
      server::LogRotationOptions{.max_bytes = config.container_log_max_size.value(),
                                 .max_files = static_cast<int>(config.container_log_max_files)},
      hooks, answers.clock);
}

KubeletApi::~KubeletApi() {
  listener_->Stop();
  certificate_.Stop();
}

Status KubeletApi::CheckConfig(const NodeConfig& config) {
  for (const auto& [key, path] : {std::pair{"clientCAFile", config.client_ca_file},
                                  {"tlsCertFile", config.tls_cert_file},
                                  {"tlsPrivateKeyFile", config.tls_private_key_file}}) {
    if (!path.empty()) {
      FARLET_TRY(Annotate(ReadFile(path, size_t{1} << 20), key));
    }
  }
  return MakeDirectories(config.cert_dir, 0700);
}

Status KubeletApi::LoadCertificate() {
  FARLET_ASSIGN(const std::string certificate, ReadFile(config_.tls_cert_file));
  FARLET_ASSIGN(const std::string key, ReadFile(config_.tls_private_key_file));
  return Annotate(server_.SetCertificate(certificate, key),
                  fmt::format("tlsCertFile {}", config_.tls_cert_file.string()));
}

Status KubeletApi::Start() {
  FARLET_TRY(config_.tls_cert_file.empty() ? certificate_.Start() : LoadCertificate());
  listener_->Try();
  rotation_->Start();
  return {};
}

}  // namespace farlet::app
