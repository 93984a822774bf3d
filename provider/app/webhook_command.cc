#include "provider/app/webhook_command.h"

#include "kube/events/recorder.h"
#include "kube/lease/leader_elector.h"
#include "provider/app/api_access.h"
#include "provider/app/stop_signal.h"
#include "provider/app/version.h"
#include "provider/node/addresses.h"
#include "provider/webhook/certificate_keeper.h"
#include "provider/webhook/pod_router.h"
#include "provider/webhook/profile_status.h"
#include "provider/webhook/profile_store.h"
#include "provider/webhook/webhook_server.h"
#include "runtime/base/backoff.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>

namespace farlet::app {
namespace {

constexpr int kNothingStarted = 2;
constexpr milliseconds kLookAgain{200};
constexpr char kLease[] = "farlet-webhook";

bool IsIpAddress(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> buffer{};
  return inet_pton(AF_INET, text.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), buffer.data()) == 1;
}

Status Check(const WebhookConfig& config) {
  if (!IsIpAddress(config.address)) {
    return InvalidArgument(fmt::format("--address: \"{}\" is not an IP address", config.address));
  }
  if (config.validation != "enforce" && config.validation != "warn") {
    return InvalidArgument(
        fmt::format("--validation: \"{}\" is neither enforce nor warn", config.validation));
  }
  if (config.prefix.empty() || config.prefix.find('/') != std::string::npos) {
    return InvalidArgument(fmt::format("--prefix: \"{}\" is no DNS name", config.prefix));
  }
  if (config.certificate_lifetime < seconds(30) ||
      config.ca_lifetime < 3 * config.certificate_lifetime) {
    return InvalidArgument(
        "--certificate-lifetime must be 30 s or more, --ca-lifetime three times as long or more");
  }
  if (!log::SetLevel(config.log_level)) {
    return InvalidArgument(fmt::format("--log-level: \"{}\" is none of debug, info, warning, error",
                                       config.log_level));
  }
  return {};
}

// Under each of its names a Service may be asked for.
kube::CertificateSubject SubjectOf(const WebhookConfig& config) {
  const std::string name = fmt::format("{}.{}", config.service, config.object_namespace);
  kube::CertificateSubject subject{.common_name = "farlet-webhook",
                                   .dns_names = {name + ".svc", name + ".svc.cluster.local"}};
  for (const std::string& host : config.hosts) {
    (IsIpAddress(host) ? subject.ip_addresses : subject.dns_names).push_back(host);
  }
  return subject;
}

fargate::AdmissionOptions AdmissionOf(const WebhookConfig& config) {
  return {.names = fargate::Names(config.prefix),
          .runtime_class = config.runtime_class,
          .validation = config.validation == "warn" ? fargate::Validation::kWarn
                                                    : fargate::Validation::kEnforce,
          .count_provisioned = config.count_provisioned};
}

// Members stand in the order in which they are made; each uses only those above it.
class Webhook {
 public:
  explicit Webhook(const WebhookConfig& config) : config_(config), timers_(clock_) {}

  ~Webhook() { Stop(); }

  Webhook(const Webhook&) = delete;
  Webhook& operator=(const Webhook&) = delete;

  Status Run(StopSignal& stop);

 private:
  void Make();
  void OnCertificate(const webhook::CertificateSet& set);
  Status Listen(StopSignal& stop);
  void SetLeading(bool leading);
  void Stop();

  std::shared_ptr<const fargate::ProfileSet> Profiles() const {
    return profiles_->synced() ? profiles_->Current() : nullptr;
  }

  const WebhookConfig config_;
  RealClock clock_;
  TimerService timers_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<kube::EventRecorder> recorder_;
  std::unique_ptr<webhook::ProfileStore> profiles_;
  std::unique_ptr<webhook::WebhookServer> server_;
  std::unique_ptr<webhook::CertificateKeeper> certificates_;
  std::unique_ptr<webhook::ProfileStatus> status_;
  std::unique_ptr<webhook::PodRouter> router_;
  std::unique_ptr<kube::LeaderElector> elector_;
};

void Webhook::Make() {
  const fargate::AdmissionOptions admission = AdmissionOf(config_);
  recorder_ = kube::MakeEventRecorder(*client_, clock_, timers_, {.component = "farlet-webhook"});
  profiles_ = std::make_unique<webhook::ProfileStore>(
      *client_, clock_, timers_,
      fargate::ProfileLimits{.selectors = config_.max_selectors, .labels = config_.max_labels},
      [this] {
        status_->LookAgain();
        router_->LookAgain();
      });
  server_ = std::make_unique<webhook::WebhookServer>(
      webhook::WebhookServerOptions{.address = config_.address,
                                    .port = config_.port,
                                    .review = {.admission = admission,
                                               .never_refused = {config_.never_refused.begin(),
                                                                 config_.never_refused.end()}}},
      [this] { return Profiles(); });
  certificates_ = std::make_unique<webhook::CertificateKeeper>(
      *client_, clock_, timers_,
      webhook::CertificateKeeperOptions{
          .object_namespace = config_.object_namespace,
          .secret_name = config_.secret,
          .configuration_name = config_.configuration,
          .policy = {.subject = SubjectOf(config_),
                     .ca_lifetime = config_.ca_lifetime,
                     .lifetime = config_.certificate_lifetime,
                     .settle = std::min(seconds(60), config_.certificate_lifetime / 6)},
          .look_again = seconds(std::min<int64_t>(30, config_.certificate_lifetime.count() / 10)),
          .on_change = [this](const webhook::CertificateSet& set) { OnCertificate(set); }});
  status_ = std::make_unique<webhook::ProfileStatus>(
      *client_, clock_, timers_,
      webhook::ProfileStatusOptions{
          .names = admission.names,
          .profiles = [this] { return profiles_->All(); },
          .problem = [this](const auto& profile) { return profiles_->Problem(profile); }});
  router_ = std::make_unique<webhook::PodRouter>(
      *client_, clock_, timers_, *recorder_,
      webhook::PodRouterOptions{.admission = admission, .profiles = [this] { return Profiles(); }});
  std::string identity = config_.identity;
  if (identity.empty()) {
    identity = fmt::format("{}-{}", node::HostName().value_or("webhook"), ::getpid());
  }
  elector_ = std::make_unique<kube::LeaderElector>(
      *client_, clock_, timers_,
      kube::LeaderOptions{.object_namespace = config_.object_namespace,
                          .name = kLease,
                          .identity = std::move(identity)},
      [this](bool leading) { SetLeading(leading); });
}

void Webhook::OnCertificate(const webhook::CertificateSet& set) {
  const Status used = server_->SetCertificate(set.certificate_pem, set.key_pem);
  if (!used) {
    log::Error("cannot use the webhook's certificate", {{"error", used.error()}});
    return;
  }
  log::Info("the webhook has a certificate");
}

void Webhook::SetLeading(bool leading) {
  certificates_->SetLeading(leading);
  status_->SetLeading(leading);
  router_->SetLeading(leading);
}

// As soon as there is a certificate; a port that is taken is tried again.
Status Webhook::Listen(StopSignal& stop) {
  Backoff backoff({.initial = kLookAgain, .max = milliseconds(5000)});
  milliseconds wait = kLookAgain;
  while (true) {
    if (certificates_->usable()) {
      const Status listening = server_->Listen();
      if (listening || listening.error().code == Code::kInvalidArgument) {
        return listening;
      }
      log::Warning("cannot listen, trying again", {{"error", listening.error()}});
      wait = backoff.Next();
    }
    if (stop.WaitFor(wait)) {
      return Cancelled("stopped");
    }
  }
}

Status Webhook::Run(StopSignal& stop) {
  FARLET_ASSIGN(client_, ConnectApi(config_.kubeconfig, clock_, timers_));
  Make();
  profiles_->Start();
  certificates_->Start();
  status_->Start();
  router_->Start();
  elector_->Start();
  FARLET_TRY(Listen(stop));
  log::Info("the webhook listens", {{"port", server_->port()}});
  stop.Wait();
  return {};
}

// Everything but the server first, so that reviews are answered to the end.
void Webhook::Stop() {
  if (elector_ == nullptr) {
    return;
  }
  elector_->Stop();
  router_->Stop();
  status_->Stop();
  certificates_->Stop();
  profiles_->Stop();
  server_.reset();
}

int Fail(const Error& error) {
  std::fprintf(stderr, "farlet: %s\n", error.message.c_str());
  return kNothingStarted;
}

}  // namespace

int RunWebhook(const WebhookConfig& config) {
  StopSignal stop;
  if (const Status checked = Check(config); !checked) {
    return Fail(checked.error());
  }
  log::Info("farlet webhook", {{"version", kVersion}, {"prefix", config.prefix}});
  Webhook webhook(config);
  const Status ended = webhook.Run(stop);
  if (!ended && ended.error().code != Code::kCancelled) {
    return Fail(ended.error());
  }
  log::Info("stopped");
  return 0;
}

}  // namespace farlet::app
