#include "provider/app/agent.h"

#include "kube/api/runtime_class.h"
#include "kube/events/recorder.h"
#include "kube/watch/informer.h"
#include "provider/app/identity.h"
#include "provider/app/image_inventory.h"
#include "provider/app/kubelet_api.h"
#include "provider/app/node_context_of.h"
#include "provider/app/pod_meter.h"
#include "provider/app/pod_tokens.h"
#include "provider/app/profile_check.h"
#include "provider/app/version.h"
#include "provider/fargate/names.h"
#include "provider/node/addresses.h"
#include "provider/node/capacity.h"
#include "provider/node/node_agent.h"
#include "provider/pod/admission.h"
#include "provider/pod/controller.h"
#include "provider/pod/probe_net.h"
#include "provider/pod/service_env.h"
#include "runtime/base/file.h"
#include "runtime/base/timer.h"
#include "runtime/cri/event_source.h"
#include "runtime/cri/grpc_client.h"
#include "runtime/cri/runtime_cache.h"
#include "runtime/cri/runtime_health.h"

#include <set>
#include <utility>

namespace farlet::app {
namespace {

node::NodeSettings SettingsOf(const NodeConfig& config) {
  node::NodeSettings settings{.name = config.node_name,
                              .labels = config.node_labels,
                              .provider_id = config.provider_id,
                              .kubelet_version = kKubeletVersion,
                              .port = config.port,
                              .max_pods = config.max_pods,
                              .capacity = config.capacity,
                              .milli_cpu_resource = std::string(fargate::kMilliCpuResource),
                              .mebibyte_resource = std::string(fargate::kMemoryResource)};
  for (const Taint& taint : config.register_with_taints) {
    settings.taints.push_back({.key = taint.key, .value = taint.value, .effect = taint.effect});
  }
  return settings;
}

node::RuntimeFacts FactsOf(const cri::RuntimeHealthState& health, std::vector<cri::Image> images) {
  return {.reachable = health.reachable,
          .last_good = health.last_good,
          .conditions = health.status.conditions,
          .name = health.version.runtime_name,
          .version = health.version.runtime_version,
          .handlers = health.status.handlers,
          .images = std::move(images)};
}

}  // namespace

// Members stand in the order in which they are made; each uses only those above it.
class Agent::Impl {
 public:
  explicit Impl(const NodeConfig& config) : config_(config), timers_(clock_) {}

  ~Impl() { Stop(); }

  Status Prepare();
  Status Run(StopSignal& stop);

 private:
  using Services = kube::Informer<kube::Service>;
  using RuntimeClasses = kube::Informer<kube::RuntimeClass>;

  std::optional<pod::PodFailure> Admit(const kube::Pod& pod,
                                       const pod::PodList& active,
                                       const pod::NodeContext& node) const;
  void MakeRuntime();
  void MakeNode();
  void MakePods();
  Result<std::map<std::string, std::string>> ServiceVariables(const kube::Pod& pod) const;
  std::optional<std::set<std::string>> PresentPods() const;
  Result<std::string> RuntimeHandler(const std::string& runtime_class) const;
  Status Start();
  void Stop();

  const NodeConfig config_;
  RealClock clock_;
  TimerService timers_;
  std::string ip_;
  node::HostFacts host_;
  std::unique_ptr<ProfileCheck> profiles_;
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<cri::Client> runtime_;
  std::unique_ptr<cri::RuntimeCache> cache_;
  std::unique_ptr<kube::EventRecorder> recorder_;
  std::unique_ptr<ImageInventory> images_;
  std::unique_ptr<node::NodeAgent> node_;
  std::unique_ptr<cri::RuntimeHealth> health_;
  std::unique_ptr<Services> services_;
  std::unique_ptr<RuntimeClasses> runtime_classes_;
  std::unique_ptr<pod::NetProber> prober_;
  std::unique_ptr<metering::Ledger> ledger_;
  std::unique_ptr<PodMeter> meter_;
  std::unique_ptr<pod::PodController> pods_;
  std::unique_ptr<cri::EventSource> events_;
  std::unique_ptr<KubeletApi> api_;
};

Status Agent::Impl::Prepare() {
  FARLET_TRY(MakeDirectories(config_.root_dir, 0750));
  FARLET_TRY(MakeDirectories(config_.pod_logs_dir, 0755));
  if (config_.node_ip.empty()) {
    FARLET_ASSIGN(ip_, Annotate(node::FindNodeIp(), "nodeIP is not set"));
  } else {
    ip_ = config_.node_ip;
    FARLET_TRY(Annotate(node::CheckNodeIp(ip_), "nodeIP"));
  }
  FARLET_ASSIGN(profiles_, ProfileCheck::Open(config_, clock_));
  FARLET_ASSIGN(host_, node::ReadHostFacts({.root_dir = config_.root_dir}));
  FARLET_ASSIGN(identity_, Identity::Make(config_, clock_, timers_));
  FARLET_ASSIGN(runtime_, Annotate(cri::ConnectGrpcClient(config_.container_runtime_endpoint),
                                   "containerRuntimeEndpoint"));
  return KubeletApi::CheckConfig(config_);
}

std::optional<pod::PodFailure> Agent::Impl::Admit(const kube::Pod& pod,
                                                  const pod::PodList& active,
                                                  const pod::NodeContext& node) const {
  if (std::string refusal = profiles_->Refusal(pod); !refusal.empty()) {
    return pod::PodFailure{.reason = "UnsupportedPodSpec", .message = std::move(refusal)};
  }
  return pod::Admit(pod, active, node);
}

void Agent::Impl::MakeRuntime() {
  cache_ = std::make_unique<cri::RuntimeCache>(*runtime_, clock_, timers_);
  images_ = std::make_unique<ImageInventory>(*runtime_, timers_);
  recorder_ = kube::MakeEventRecorder(identity_->client(), clock_, timers_,
                                      {.component = "kubelet",
                                       .host = config_.node_name,
                                       .qps = static_cast<double>(config_.event_qps),
                                       .burst = static_cast<int>(config_.event_burst)});
}

void Agent::Impl::MakeNode() {
  node::NodeAgentHooks hooks{
      .runtime = [this] { return FactsOf(health_->State(), images_->Images()); }};
  node_ = std::make_unique<node::NodeAgent>(
      identity_->client(), clock_, timers_, *recorder_,
      node::NodeAgentOptions{.settings = SettingsOf(config_),
                             .host = host_,
                             .paths = {.root_dir = config_.root_dir},
                             .ips = {ip_},
                             .cni_conf_dir = config_.cni_conf_dir,
                             .cni_data_dir = config_.root_dir / "cni"},
      std::move(hooks));
  health_ = std::make_unique<cri::RuntimeHealth>(
      *runtime_, clock_, timers_,
      [this](const cri::RuntimeHealthState&) { node_->RuntimeChanged(); });
}

Result<std::map<std::string, std::string>> Agent::Impl::ServiceVariables(
    const kube::Pod& pod) const {
  if (!services_->synced()) {
    return Unavailable("services have not yet been read at least once, cannot construct envvars");
  }
  return pod::ServiceEnv(services_->All(), pod.meta.object_namespace,
                         pod.spec.enable_service_links);
}

Result<std::string> Agent::Impl::RuntimeHandler(const std::string& runtime_class) const {
  if (!runtime_classes_->synced()) {
    return Unavailable("runtime classes have not yet been read");
  }
  const auto found = runtime_classes_->ByName("", runtime_class);
  if (!found) {
    return NotFound("runtimeclass.node.k8s.io \"" + runtime_class + "\" not found");
  }
  return found->handler;
}

// Nothing while what is known of them may be old.
std::optional<std::set<std::string>> Agent::Impl::PresentPods() const {
  if (!pods_->Synced() || !health_->State().reachable) {
    return std::nullopt;
  }
  std::set<std::string> uids;
  for (const pod::PodView& view : pods_->Pods()) {
    uids.insert(view.pod->meta.uid);
  }
  return uids;
}

void Agent::Impl::MakePods() {
  prober_ = pod::MakeNetProber("1.37");
  ledger_ =
      std::make_unique<metering::Ledger>(config_.root_dir / "metering", clock_, metering::Limits());
  meter_ =
      std::make_unique<PodMeter>(*ledger_, clock_,
                                 PodMeter::Options{.names = fargate::Names(config_.fargate_prefix),
                                                   .rates = config_.fargate_rates});
  pod::PodController::Options options;
  options.images.max_parallel_pulls = static_cast<int>(config_.max_parallel_image_pulls);
  pods_ = std::make_unique<pod::PodController>(
      pod::PodController::Dependencies{
          .runtime = *runtime_,
          .cache = *cache_,
          .api = identity_->client(),
          .recorder = *recorder_,
          .clock = clock_,
          .timers = timers_,
          .net_prober = *prober_,
          .admission = [this](const kube::Pod& pod, const pod::PodList& active,
                              const pod::NodeContext& node) { return Admit(pod, active, node); },
          .ready = [this] { return profiles_->ready(); },
          .make_tokens =
              [this](auto changed) {
                return std::make_unique<PodTokenSource>(identity_->client(), clock_, timers_,
                                                        std::move(changed));
              },
          .service_env = [this](const kube::Pod& pod) { return ServiceVariables(pod); },
          .runtime_handler = [this](const std::string& name) { return RuntimeHandler(name); },
          .observer = meter_.get()},
      NodeContextOf(config_, ip_, node_->capacity()), options);
  services_ = std::make_unique<Services>(identity_->client(), clock_, timers_,
                                         kube::ListWatchOptions{.path = "/api/v1/services"},
                                         [this](const auto&, const auto&) { pods_->LookAgain(); });
  runtime_classes_ = std::make_unique<RuntimeClasses>(
      identity_->client(), clock_, timers_,
      kube::ListWatchOptions{.path = "/apis/node.k8s.io/v1/runtimeclasses"},
      [this](const auto&, const auto&) { pods_->LookAgain(); });
}

Status Agent::Impl::Start() {
  MakeRuntime();
  MakeNode();
  MakePods();
  const HandlerDependencies answers{
      .pods = *pods_, .runtime = *runtime_, .cache = *cache_, .clock = clock_, .ledger = *ledger_};
  api_ = std::make_unique<KubeletApi>(config_, ip_, answers, timers_, identity_->client());
  health_->Start();
  images_->Start();
  node_->Start();
  services_->Start();
  runtime_classes_->Start();
  profiles_->Start(identity_->client(), timers_);
  pods_->Start();
  meter_->Start([this] { return PresentPods(); });
  FARLET_ASSIGN(events_, cri::FollowEvents(
                             config_.container_runtime_endpoint, clock_, timers_,
                             [this](const cri::EventNotice& notice) { cache_->OnEvent(notice); }));
  cache_->Start();
  return api_->Start();
}

void Agent::Impl::Stop() {
  api_.reset();
  events_.reset();
  if (services_ != nullptr) {
    services_->Stop();
    runtime_classes_->Stop();
  }
  if (pods_ != nullptr) {
    meter_->Stop();
    pods_->Stop();
    profiles_->Stop();
  }
  if (node_ != nullptr) {
    node_->Stop();
  }
  health_.reset();
}

Status Agent::Impl::Run(StopSignal& stop) {
  FARLET_TRY(identity_->Establish(stop));
  FARLET_TRY(Start());
  stop.Wait();
  Stop();
  return {};
}

Result<std::unique_ptr<Agent>> Agent::Make(const NodeConfig& config) {
  auto impl = std::make_unique<Impl>(config);
  FARLET_TRY(impl->Prepare());
  return std::unique_ptr<Agent>(new Agent(std::move(impl)));
}

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Agent::~Agent() = default;

Status Agent::Run(StopSignal& stop) {
  return impl_->Run(stop);
}

}  // namespace farlet::app
