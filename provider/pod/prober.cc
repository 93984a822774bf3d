#include "provider/pod/prober.h"

#include "provider/pod/env.h"
#include "provider/pod/plan.h"
#include "provider/pod/probe_machine.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace farlet::pod {
namespace {

constexpr int kTriesPerTick = 3;
constexpr size_t kMaxOutput = 10 * 1024;
constexpr std::array kTypes{ProbeType::kStartup, ProbeType::kLiveness, ProbeType::kReadiness};

const std::optional<kube::Probe>& ProbeOf(const kube::Container& container, ProbeType type) {
  switch (type) {
    case ProbeType::kStartup:
      return container.startup_probe;
    case ProbeType::kLiveness:
      return container.liveness_probe;
    case ProbeType::kReadiness:
      break;
  }
  return container.readiness_probe;
}

std::string_view TypeName(ProbeType type) {
  switch (type) {
    case ProbeType::kStartup:
      return "Startup";
    case ProbeType::kLiveness:
      return "Liveness";
    case ProbeType::kReadiness:
      break;
  }
  return "Readiness";
}

// The probe's command with $(VAR) of the container's literal variables.
std::vector<std::string> ProbeCommand(const kube::ExecAction& action,
                                      const kube::Container& container) {
  std::map<std::string, std::string> variables;
  for (const kube::EnvVar& variable : container.env) {
    if (const auto* value = std::get_if<std::string>(&variable.source)) {
      variables[variable.name] = *value;
    }
  }
  std::vector<std::string> command;
  for (const std::string& word : action.command) {
    command.push_back(Expand(word, variables));
  }
  return command;
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

ProbeOutcome ExecOutcome(const Result<cri::ExecSyncResult>& result,
                         const std::vector<std::string>& command,
                         seconds timeout) {
  if (!result && result.error().code == Code::kDeadlineExceeded) {
    return {.kind = ProbeOutcome::Kind::kFailure,
            .text = fmt::format("command timed out: \"{}\" timed out after {}s", Joined(command),
                                timeout.count())};
  }
  if (!result) {
    return {.kind = ProbeOutcome::Kind::kError, .text = GoRpcText(result.error())};
  }
  std::string output = result->stdout_text + result->stderr_text;
  output.resize(std::min(output.size(), kMaxOutput));
  return {
      .kind = result->exit_code == 0 ? ProbeOutcome::Kind::kSuccess : ProbeOutcome::Kind::kFailure,
      .text = std::move(output)};
}

}  // namespace

uint16_t ResolvePort(const kube::PortReference& port, const kube::Container& container) {
  int32_t number = 0;
  if (const auto* value = std::get_if<int32_t>(&port)) {
    number = *value;
  } else {
    const std::string& name = std::get<std::string>(port);
    for (const kube::ContainerPort& candidate : container.ports) {
      if (candidate.name == name) {
        number = candidate.container_port;
      }
    }
  }
  return number > 0 && number <= 65535 ? static_cast<uint16_t>(number) : 0;
}

class Prober::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(cri::Client& client,
       NetProber& net,
       PodEvents events,
       const Clock& clock,
       TimerService& timers,
       OnChange on_change)
      : client_(client),
        net_(net),
        events_(events),
        clock_(clock),
        timers_(timers),
        on_change_(std::move(on_change)) {}

  void SetTargets(const std::shared_ptr<const kube::Pod>& pod,
                  const std::vector<ProbeTarget>& targets,
                  bool ending);
  ProbeResults Results(const std::string& pod_uid) const;
  void Forget(const std::string& pod_uid);
  void Close();

 private:
  // A probe of an instance. `serial` tells timers and answers of this one from those of another.
  struct Worker {
    ProbeMachine machine;
    kube::Probe probe;
    uint64_t serial = 0;
    TimerService::Id timer = 0;
    bool active = false;
    int tries = 0;
  };

  struct Instance {
    std::shared_ptr<const kube::Pod> pod;
    ProbeTarget target;
    std::map<ProbeType, Worker> workers;
  };

  using Instances = std::map<cri::ContainerId, Instance>;

  struct Address {
    std::string uid;
    cri::ContainerId id;
    ProbeType type = ProbeType::kReadiness;
    uint64_t serial = 0;
  };

  Instance MakeInstance(const std::shared_ptr<const kube::Pod>& pod,
                        const kube::Container& container,
                        const ProbeTarget& target);
  void Activate(const Instance& instance, ProbeType type, Worker& worker, bool adopted);
  void ActivateDue(Instance& instance, bool ending);
  void Arm(const Address& address, Worker& worker, std::chrono::nanoseconds delay);
  void Deactivate(Worker& worker);
  void Tick(const Address& address);
  void Launch(const Address& address, const kube::Probe& probe, const Instance& instance);
  void OnOutcome(const Address& address, const ProbeOutcome& outcome);
  Worker* Find(const Address& address, Instance** instance);
  static bool Started(const Instance& instance);
  void Announce(const kube::Pod& pod,
                const std::string& container,
                ProbeType type,
                const ProbeOutcome& outcome);

  cri::Client& client_;
  NetProber& net_;
  PodEvents events_;
  const Clock& clock_;
  TimerService& timers_;
  mutable std::mutex mutex_;  // guards all below
  OnChange on_change_;
  std::map<std::string, Instances> pods_;
  uint64_t next_serial_ = 1;
  std::minstd_rand random_{std::random_device{}()};
};

bool Prober::Impl::Started(const Instance& instance) {
  const auto startup = instance.workers.find(ProbeType::kStartup);
  return startup == instance.workers.end() ||
         startup->second.machine.verdict() == ProbeMachine::Verdict::kSuccess;
}

Prober::Impl::Instance Prober::Impl::MakeInstance(const std::shared_ptr<const kube::Pod>& pod,
                                                  const kube::Container& container,
                                                  const ProbeTarget& target) {
  Instance instance{.pod = pod, .target = target};
  for (const ProbeType type : kTypes) {
    const auto& probe = ProbeOf(container, type);
    if (!probe) {
      continue;
    }
    Worker worker{.machine = ProbeMachine(type, *probe), .probe = *probe};
    const bool known = (type == ProbeType::kStartup && target.was_started) ||
                       (type == ProbeType::kReadiness && target.was_ready);
    if (known) {
      worker.machine.Adopt(ProbeMachine::Verdict::kSuccess);
    }
    instance.workers.emplace(type, std::move(worker));
  }
  return instance;
}

void Prober::Impl::SetTargets(const std::shared_ptr<const kube::Pod>& pod,
                              const std::vector<ProbeTarget>& targets,
                              bool ending) {
  const std::string& uid = pod->meta.uid;
  const std::lock_guard lock(mutex_);
  const auto known = pods_.find(uid);
  if (targets.empty() && known == pods_.end()) {
    return;
  }
  Instances old = known == pods_.end() ? Instances{} : std::move(known->second);
  Instances now;
  for (const ProbeTarget& target : targets) {
    const kube::Container* container = FindContainer(*pod, target.container);
    if (container == nullptr) {
      continue;
    }
    auto node = old.extract(target.id);
    if (node.empty()) {
      now.emplace(target.id, MakeInstance(pod, *container, target));
    } else {
      node.mapped().pod = pod;
      now.insert(std::move(node));
    }
  }
  for (auto& [id, gone] : old) {
    for (auto& [type, worker] : gone.workers) {
      Deactivate(worker);
    }
  }
  for (auto& [id, instance] : now) {
    ActivateDue(instance, ending);
  }
  pods_[uid] = std::move(now);
}

// Starts the workers whose time has come and stops the others. Needs mutex_.
void Prober::Impl::ActivateDue(Instance& instance, bool ending) {
  const bool started = Started(instance);
  for (auto& [type, worker] : instance.workers) {
    bool wanted = type == ProbeType::kStartup ? !started : started;
    if ((ending && type != ProbeType::kReadiness) || worker.machine.final()) {
      wanted = false;
    }
    if (wanted && !worker.active) {
      const bool adopted = instance.target.was_started || instance.target.was_ready;
      Activate(instance, type, worker, adopted);
    } else if (!wanted && worker.active) {
      Deactivate(worker);
    }
  }
}

// Needs mutex_.
void Prober::Impl::Activate(const Instance& instance,
                            ProbeType type,
                            Worker& worker,
                            bool adopted) {
  worker.active = true;
  worker.serial = next_serial_++;
  const auto age = clock_.WallNow() - instance.target.started_at;
  std::chrono::nanoseconds delay =
      std::max<std::chrono::nanoseconds>(worker.probe.initial_delay - age, milliseconds(0));
  if (adopted) {
    // So that a restarted agent does not probe everything at once.
    std::uniform_int_distribution<int64_t> spread(0, milliseconds(worker.probe.period).count());
    delay += milliseconds(spread(random_));
  }
  const Address address{.uid = instance.pod->meta.uid,
                        .id = instance.target.id,
                        .type = type,
                        .serial = worker.serial};
  Arm(address, worker, delay);
}

// Needs mutex_.
void Prober::Impl::Arm(const Address& address, Worker& worker, std::chrono::nanoseconds delay) {
  worker.timer = timers_.After(delay, [weak = weak_from_this(), address] {
    if (const auto self = weak.lock()) {
      self->Tick(address);
    }
  });
}

// Needs mutex_.
void Prober::Impl::Deactivate(Worker& worker) {
  if (worker.active) {
    worker.active = false;
    worker.serial = 0;
    timers_.Cancel(worker.timer);
  }
}

// Needs mutex_. Null when the worker is not the one that the address was made for.
Prober::Impl::Worker* Prober::Impl::Find(const Address& address, Instance** instance) {
  const auto pod = pods_.find(address.uid);
  if (pod == pods_.end() || !on_change_) {
    return nullptr;
  }
  const auto found = pod->second.find(address.id);
  if (found == pod->second.end()) {
    return nullptr;
  }
  const auto worker = found->second.workers.find(address.type);
  if (worker == found->second.workers.end() || worker->second.serial != address.serial) {
    return nullptr;
  }
  *instance = &found->second;
  return &worker->second;
}

void Prober::Impl::Tick(const Address& address) {
  Instance copy;
  kube::Probe probe;
  {
    const std::lock_guard lock(mutex_);
    Instance* instance = nullptr;
    Worker* worker = Find(address, &instance);
    if (worker == nullptr) {
      return;
    }
    worker->tries = 0;
    copy.pod = instance->pod;
    copy.target = instance->target;
    probe = worker->probe;
    // The next one keeps its pace however long this one takes; probes do not overlap, because a
    // period is at least a second and a slow answer moves the timer (see OnOutcome).
  }
  Launch(address, probe, copy);
}

void Prober::Impl::Launch(const Address& address,
                          const kube::Probe& probe,
                          const Instance& instance) {
  const kube::Container* container = FindContainer(*instance.pod, instance.target.container);
  const auto done = [weak = weak_from_this(), address](const ProbeOutcome& outcome) {
    if (const auto self = weak.lock()) {
      self->OnOutcome(address, outcome);
    }
  };
  if (container == nullptr) {
    return;
  }
  const auto host = [&](const std::string& asked) {
    return asked.empty() ? instance.target.pod_ip : asked;
  };
  if (const auto* exec = std::get_if<kube::ExecAction>(&probe.action)) {
    const std::vector<std::string> command = ProbeCommand(*exec, *container);
    client_.ExecSync(
        address.id, command, probe.timeout,
        [done, command, timeout = probe.timeout](const Result<cri::ExecSyncResult>& result) {
          done(ExecOutcome(result, command, timeout));
        });
  } else if (const auto* get = std::get_if<kube::HttpGetAction>(&probe.action)) {
    net_.Http({.tls = get->scheme == "HTTPS",
               .host = host(get->host),
               .port = ResolvePort(get->port, *container),
               .path = get->path.empty() || get->path.front() != '/' ? "/" + get->path : get->path,
               .headers = get->headers,
               .timeout = probe.timeout},
              done);
  } else if (const auto* tcp = std::get_if<kube::TcpSocketAction>(&probe.action)) {
    net_.Tcp(host(tcp->host), ResolvePort(tcp->port, *container), probe.timeout, done);
  }
  // gRPC probes are refused at admission.
}

void Prober::Impl::OnOutcome(const Address& address, const ProbeOutcome& outcome) {
  OnChange tell;
  std::shared_ptr<const kube::Pod> pod;
  std::string container;
  std::optional<Instance> again;
  kube::Probe probe;
  {
    const std::lock_guard lock(mutex_);
    Instance* instance = nullptr;
    Worker* worker = Find(address, &instance);
    if (worker == nullptr) {
      return;
    }
    pod = instance->pod;
    container = instance->target.container;
    if (outcome.kind == ProbeOutcome::Kind::kError && ++worker->tries < kTriesPerTick) {
      probe = worker->probe;
      again = Instance{.pod = pod, .target = instance->target};
    } else {
      const bool known = outcome.kind != ProbeOutcome::Kind::kError;
      const bool success = outcome.kind != ProbeOutcome::Kind::kFailure;
      if (known && worker->machine.OnOutcome(success)) {
        tell = on_change_;
      }
      if (worker->machine.final()) {
        Deactivate(*worker);
        ActivateDue(*instance, false);
      } else {
        Arm(address, *worker, worker->probe.period);
      }
    }
  }
  if (again) {
    Launch(address, probe, *again);
    return;
  }
  Announce(*pod, container, address.type, outcome);
  if (tell) {
    tell(address.uid);
  }
}

void Prober::Impl::Announce(const kube::Pod& pod,
                            const std::string& container,
                            ProbeType type,
                            const ProbeOutcome& outcome) {
  const std::string_view name = TypeName(type);
  switch (outcome.kind) {
    case ProbeOutcome::Kind::kSuccess:
      break;
    case ProbeOutcome::Kind::kWarning:
      events_.Warning(pod, container, "ProbeWarning",
                      fmt::format("{} probe warning: {}", name, outcome.text));
      break;
    case ProbeOutcome::Kind::kFailure:
      events_.Warning(pod, container, "Unhealthy",
                      fmt::format("{} probe failed: {}", name, outcome.text));
      break;
    case ProbeOutcome::Kind::kError:
      events_.Warning(
          pod, container, "Unhealthy",
          fmt::format("{} probe errored and resulted in unknown state: {}", name, outcome.text));
      break;
  }
}

ProbeResults Prober::Impl::Results(const std::string& pod_uid) const {
  ProbeResults results;
  const std::lock_guard lock(mutex_);
  const auto pod = pods_.find(pod_uid);
  if (pod == pods_.end()) {
    return results;
  }
  for (const auto& [id, instance] : pod->second) {
    ProbeResult& result = results[id];
    result.state.started = Started(instance);
    const auto readiness = instance.workers.find(ProbeType::kReadiness);
    result.state.ready = result.state.started &&
                         (readiness == instance.workers.end() ||
                          readiness->second.machine.verdict() == ProbeMachine::Verdict::kSuccess);
    for (const ProbeType type : {ProbeType::kStartup, ProbeType::kLiveness}) {
      const auto worker = instance.workers.find(type);
      if (worker != instance.workers.end() &&
          worker->second.machine.verdict() == ProbeMachine::Verdict::kFailure) {
        result.failed = type;
      }
    }
  }
  return results;
}

void Prober::Impl::Forget(const std::string& pod_uid) {
  const std::lock_guard lock(mutex_);
  const auto pod = pods_.find(pod_uid);
  if (pod == pods_.end()) {
    return;
  }
  for (auto& [id, instance] : pod->second) {
    for (auto& [type, worker] : instance.workers) {
      Deactivate(worker);
    }
  }
  pods_.erase(pod);
}

void Prober::Impl::Close() {
  const std::lock_guard lock(mutex_);
  on_change_ = nullptr;
  for (auto& [uid, instances] : pods_) {
    for (auto& [id, instance] : instances) {
      for (auto& [type, worker] : instance.workers) {
        Deactivate(worker);
      }
    }
  }
  pods_.clear();
}

Prober::Prober(cri::Client& client,
               NetProber& net,
               PodEvents events,
               const Clock& clock,
               TimerService& timers,
               OnChange on_change)
    : impl_(std::make_shared<Impl>(client, net, events, clock, timers, std::move(on_change))) {}

Prober::~Prober() {
  impl_->Close();
}

void Prober::SetTargets(const std::shared_ptr<const kube::Pod>& pod,
                        const std::vector<ProbeTarget>& targets,
                        bool ending) {
  impl_->SetTargets(pod, targets, ending);
}

ProbeResults Prober::Results(const std::string& pod_uid) const {
  return impl_->Results(pod_uid);
}

void Prober::Forget(const std::string& pod_uid) {
  impl_->Forget(pod_uid);
}

}  // namespace farlet::pod
