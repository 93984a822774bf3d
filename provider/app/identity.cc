#include "provider/app/identity.h"

#include "kube/auth/kubeconfig.h"
#include "kube/client/await.h"
#include "provider/app/version.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <utility>

namespace farlet::app {
namespace {

constexpr milliseconds kLookAgain{200};
constexpr seconds kSayAgain{30};

}  // namespace

Result<std::unique_ptr<Identity>> Identity::Make(const NodeConfig& config,
                                                 const Clock& clock,
                                                 TimerService& timers) {
  auto identity = std::unique_ptr<Identity>(new Identity(config, clock, timers));
  FARLET_TRY(identity->Prepare());
  return identity;
}

Identity::~Identity() {
  if (certificate_ != nullptr) {
    certificate_->Stop();
  }
}

Status Identity::Prepare() {
  if (!config_.bootstrap_kubeconfig.empty()) {
    return PrepareBootstrap();
  }
  if (!config_.kubeconfig.empty()) {
    FARLET_ASSIGN(access_, kube::LoadKubeconfig(config_.kubeconfig, clock_));
    return {};
  }
  auto in_cluster = kube::LoadInCluster(clock_);
  if (!in_cluster) {
    return Wrap("neither kubeconfig nor bootstrapKubeconfig is set, and not in a cluster",
                in_cluster.error());
  }
  access_ = *std::move(in_cluster);
  return {};
}

Status Identity::PrepareBootstrap() {
  FARLET_ASSIGN(const kube::ClusterAccess access,
                kube::LoadKubeconfig(config_.bootstrap_kubeconfig, clock_));
  FARLET_ASSIGN(const kube::CredentialPtr credential,
                kube::Await<kube::CredentialPtr>(
                    [&](auto done) { access.credentials->Get(std::move(done)); }));
  FARLET_TRY(MakeDirectories(config_.cert_dir, 0700));
  own_kubeconfig_ = config_.kubeconfig.empty() ? config_.cert_dir / "kubeconfig"
                                               : std::filesystem::path(config_.kubeconfig);
  FARLET_TRY(node::WriteNodeKubeconfig(own_kubeconfig_, access.server, credential->ca_pem,
                                       node::ClientCertificate::PathIn(config_.cert_dir)));
  FARLET_ASSIGN(bootstrap_, Connect(access));
  certificate_ = std::make_unique<node::ClientCertificate>(
      clock_, timers_,
      node::ClientCertificate::Options{.node_name = config_.node_name,
                                       .cert_dir = config_.cert_dir,
                                       .bootstrap = bootstrap_.get(),
                                       .on_certificate = [] {}});
  return {};
}

Result<std::unique_ptr<kube::Client>> Identity::Connect(const kube::ClusterAccess& access) {
  return kube::MakeClient(access, clock_, timers_,
                          {.qps = static_cast<double>(config_.kube_api_qps),
                           .burst = static_cast<int>(config_.kube_api_burst),
                           .user_agent = std::string("farlet/") + kVersion});
}

Status Identity::Establish(StopSignal& stop) {
  if (certificate_ != nullptr) {
    certificate_->Start();
    SteadyTime say_at = clock_.Now();
    while (!certificate_->usable()) {
      if (clock_.Now() >= say_at) {
        log::Info("waiting for a client certificate", {{"node", config_.node_name}});
        say_at = clock_.Now() + kSayAgain;
      }
      if (stop.WaitFor(kLookAgain)) {
        return Cancelled("stopped while waiting for a client certificate");
      }
    }
    FARLET_ASSIGN(access_, kube::LoadKubeconfig(own_kubeconfig_, clock_));
  }
  FARLET_ASSIGN(client_, Connect(*access_));
  if (certificate_ != nullptr) {
    certificate_->UseClient(*client_);
  }
  return {};
}

}  // namespace farlet::app
