#include "provider/node/node_agent.h"

#include "kube/lease/lease_keeper.h"
#include "provider/node/cni_config.h"
#include "provider/node/masquerade.h"
#include "provider/node/node_object.h"
#include "provider/node/pressure_monitor.h"
#include "provider/node/registration.h"
#include "provider/node/status_updater.h"
#include "runtime/base/backoff.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <mutex>
#include <optional>
#include <utility>

namespace farlet::node {
namespace {

using kube::Json;

// Somebody may have flushed the rules.
constexpr milliseconds kNetworkResync{60'000};
constexpr BackoffPolicy kCniRetry{.initial = milliseconds(500), .max = milliseconds(30'000)};

std::string TextAt(const Json& object, const Json::json_pointer& where) {
  const Json value = object.value(where, Json());
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::vector<std::string> PodCidrs(const Json& node) {
  std::vector<std::string> cidrs;
  const Json list = node.value("/spec/podCIDRs"_json_pointer, Json::array());
  for (const Json& cidr : list) {
    if (cidr.is_string()) {
      cidrs.push_back(cidr);
    }
  }
  if (const std::string single = TextAt(node, "/spec/podCIDR"_json_pointer);
      cidrs.empty() && !single.empty()) {
    cidrs.push_back(single);
  }
  return cidrs;
}

}  // namespace

class NodeAgent::Impl {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       kube::EventRecorder& events,
       NodeAgentOptions options,
       NodeAgentHooks hooks)
      : clock_(clock),
        timers_(timers),
        events_(events),
        options_(std::move(options)),
        hooks_(std::move(hooks)),
        capacity_(ComputeCapacity(options_.settings, options_.host)),
        lease_(client,
               clock,
               timers,
               {.name = options_.settings.name, .holder = options_.settings.name}),
        status_(
            client,
            clock,
            timers,
            {.node_name = options_.settings.name},
            [this](const Json& node) { return Compute(node); },
            [this](const Json& before, const Json& after) { OnWritten(before, after); }),
        network_(std::make_shared<Network>(*this)),
        registration_(client, clock, timers, options_.settings.name, RegistrationHooks()) {}

  void Start() {
    Record(kube::EventType::kNormal, "Starting", "Starting kubelet.");
    registration_.Start();
  }

  void Stop() {
    registration_.Stop();
    network_->Stop();
    status_.Stop();
    lease_.Stop();
  }

  void RuntimeChanged() { status_.Poke(); }

  const Capacity& capacity() const { return capacity_; }

  std::shared_ptr<const Json> node() const { return status_.node(); }

  SteadyTime last_heartbeat() const { return lease_.last_renewal(); }

 private:
  // Configures the pods' network on the timer's thread: until it is done, and now and then anew.
  class Network : public std::enable_shared_from_this<Network> {
   public:
    explicit Network(Impl& agent) : agent_(agent) {}

    Gate& gate() { return gate_; }

    void Use(std::vector<std::string> cidrs) {
      const std::lock_guard lock(mutex_);
      if (cidrs.empty() || cidrs == cidrs_) {
        return;
      }
      cidrs_ = std::move(cidrs);
      Schedule(milliseconds(0));
    }

    void Stop() {
      gate_.Close();
      const std::lock_guard lock(mutex_);
      if (timer_) {
        agent_.timers_.Cancel(*timer_);
      }
    }

   private:
    // Needs mutex_.
    void Schedule(milliseconds delay) {
      if (timer_) {
        agent_.timers_.Cancel(*timer_);
      }
      timer_ = agent_.timers_.After(delay, [weak = weak_from_this()] {
        EnterStep(weak, [](Network& self) { self.Apply(); });
      });
    }

    void Apply() {
      std::vector<std::string> cidrs;
      {
        const std::lock_guard lock(mutex_);
        timer_.reset();
        cidrs = cidrs_;
      }
      if (const Status written = agent_.ConfigureNetwork(cidrs); !written) {
        log::Error("cannot configure the pods' network, trying again",
                   {{"error", written.error()}});
        const std::lock_guard lock(mutex_);
        if (!timer_) {
          Schedule(backoff_.Next());
        }
        return;
      }
      backoff_.Reset();
      if (agent_.hooks_.on_pod_cidrs && std::exchange(told_, cidrs) != cidrs) {
        agent_.hooks_.on_pod_cidrs(cidrs);
      }
      const std::lock_guard lock(mutex_);
      if (!timer_) {
        Schedule(kNetworkResync);
      }
    }

    Impl& agent_;
    Gate gate_;
    Backoff backoff_{kCniRetry};
    std::vector<std::string> told_;  // of Apply() only
    std::mutex mutex_;               // guards all below
    std::vector<std::string> cidrs_;
    std::optional<TimerService::Id> timer_;
  };

  Registration::Hooks RegistrationHooks() {
    return {
        .build = [this] { return Rebuild(); },
        .adopt =
            [this](Json node) {
              return AdoptNode(std::move(node), options_.settings, options_.host);
            },
        .foreign_owner = [this](const Json& node) { return ForeignOwner(node, options_.host); },
        .on_registered = [this](const Registration::NodePtr& node,
                                const Registration::NodePtr& found) { OnRegistered(node, found); },
        .on_node = [this](const Registration::NodePtr& node) { OnNode(node); }};
  }

  // A node that somebody deleted comes back with the pod CIDRs that it had: its pods have addresses
  // from them.
  Json Rebuild() {
    Json node = BuildNode(options_.settings, options_.host, CurrentStatus(Json()));
    if (const std::shared_ptr<const Json> before = status_.node(); before != nullptr) {
      for (const char* field : {"podCIDR", "podCIDRs"}) {
        const Json spec = before->value("spec", Json::object());
        if (spec.contains(field)) {
          node["spec"][field] = spec[field];
        }
      }
    }
    return node;
  }

  void OnRegistered(const Registration::NodePtr& node, const Registration::NodePtr& found) {
    if (found != nullptr) {
      const std::string boot = TextAt(*found, "/status/nodeInfo/bootID"_json_pointer);
      if (!boot.empty() && boot != options_.host.boot_id) {
        Record(kube::EventType::kWarning, "Rebooted",
               fmt::format("Node {} has been rebooted, boot id: {}", options_.settings.name,
                           options_.host.boot_id));
      }
    } else {
      OnWritten(Json::object(), *node);
    }
    OnNode(node);
    lease_.Start();
  }

  void OnNode(const Registration::NodePtr& node) {
    lease_.SetOwner(TextAt(*node, "/metadata/uid"_json_pointer));
    status_.SetNode(node);
    network_->Use(PodCidrs(*node));
    if (hooks_.on_node) {
      hooks_.on_node(node);
    }
  }

  Status ConfigureNetwork(const std::vector<std::string>& cidrs) {
    if (options_.cni_conf_dir.empty()) {
      return {};
    }
    FARLET_TRY(CheckPodCidrs(cidrs));
    if (options_.masquerade) {
      FARLET_TRY(ApplyMasquerade(BridgeName(options_.settings.name), cidrs));
    }
    FARLET_ASSIGN(const bool written, WriteCniConfig({.folder = options_.cni_conf_dir,
                                                      .data_dir = options_.cni_data_dir,
                                                      .node_name = options_.settings.name,
                                                      .pod_cidrs = cidrs}));
    if (written) {
      log::Info("wrote the CNI configuration",
                {{"folder", options_.cni_conf_dir.string()},
                 {"podCIDRs", fmt::format("{}", fmt::join(cidrs, ","))}});
    }
    return {};
  }

  Json CurrentStatus(const Json& before) {
    Pressure pressure;
    {
      const std::lock_guard lock(mutex_);
      pressure = pressure_.Update(ReadPressure(options_.paths), clock_.Now());
    }
    const RuntimeFacts runtime = hooks_.runtime();
    return BuildStatus(before, {.settings = options_.settings,
                                .host = options_.host,
                                .capacity = capacity_,
                                .ips = options_.ips,
                                .runtime = runtime,
                                .pressure = pressure,
                                .now = clock_.Now(),
                                .wall_now = clock_.WallNow()});
  }

  Json Compute(const Json& node) {
    Json wanted = AdoptNode(node, options_.settings, options_.host);
    wanted["status"] = CurrentStatus(node.value("status", Json()));
    return wanted;
  }

  void OnWritten(const Json& before, const Json& after) {
    const Json none = Json::array();
    for (const std::string& reason :
         ConditionEvents(before.value("/status/conditions"_json_pointer, none),
                         after.value("/status/conditions"_json_pointer, none))) {
      log::Info("node condition", {{"node", options_.settings.name}, {"now", reason}});
      Record(kube::EventType::kNormal, reason,
             fmt::format("Node {} status is now: {}", options_.settings.name, reason));
    }
  }

  void Record(kube::EventType type, const std::string& reason, const std::string& message) {
    // The kubelet gives the node's name as uid, and `kubectl describe node` looks for that.
    const kube::ObjectReference node{.kind = "Node",
                                     .api_version = "v1",
                                     .name = options_.settings.name,
                                     .uid = options_.settings.name};
    events_.Record(node, type, reason, message);
  }

  const Clock& clock_;
  TimerService& timers_;
  kube::EventRecorder& events_;
  const NodeAgentOptions options_;
  const NodeAgentHooks hooks_;
  const Capacity capacity_;
  std::mutex mutex_;  // guards pressure_
  PressureMonitor pressure_;
  kube::LeaseKeeper lease_;
  StatusUpdater status_;
  // Shared with the timer's callbacks only.
  const std::shared_ptr<Network> network_;
  Registration registration_;  // last: its hooks use the rest
};

NodeAgent::NodeAgent(kube::Client& client,
                     const Clock& clock,
                     TimerService& timers,
                     kube::EventRecorder& events,
                     NodeAgentOptions options,
                     NodeAgentHooks hooks)
    : impl_(std::make_unique<Impl>(
          client, clock, timers, events, std::move(options), std::move(hooks))) {}

NodeAgent::~NodeAgent() {
  impl_->Stop();
}

void NodeAgent::Start() {
  impl_->Start();
}

void NodeAgent::Stop() {
  impl_->Stop();
}

void NodeAgent::RuntimeChanged() {
  impl_->RuntimeChanged();
}

const Capacity& NodeAgent::capacity() const {
  return impl_->capacity();
}

std::shared_ptr<const kube::Json> NodeAgent::node() const {
  return impl_->node();
}

SteadyTime NodeAgent::last_heartbeat() const {
  return impl_->last_heartbeat();
}

}  // namespace farlet::node
