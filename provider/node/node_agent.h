#pragma once

#include "kube/client/client.h"
#include "kube/events/recorder.h"
#include "provider/node/capacity.h"
#include "provider/node/facts.h"
#include "runtime/base/timer.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::node {

struct NodeAgentOptions {
  NodeSettings settings;
  HostFacts host;  // of ReadHostFacts(paths)
  HostPaths paths;
  std::vector<std::string> ips;        // InternalIP addresses, primary first
  std::filesystem::path cni_conf_dir;  // empty: somebody else configures CNI
  std::filesystem::path cni_data_dir;
  bool masquerade = true;  // pods' traffic to the outside, when we configure CNI
};

struct NodeAgentHooks {
  // The runtime as it is now; called often, must not block.
  std::function<RuntimeFacts()> runtime;
  // The node's pod CIDRs, when they are first known and when they change; the CNI configuration has
  // been written by then. May be empty.
  std::function<void(const std::vector<std::string>& pod_cidrs)> on_pod_cidrs;
  // Every version of the own Node that is seen (labels, taints, allocatable). May be empty.
  std::function<void(const std::shared_ptr<const kube::Json>& node)> on_node;
};

// The node's side of the agent: registers the Node, keeps its Lease and status, records its events,
// and configures pod networking when the cluster has given it addresses. The constructor does no
// I/O.
//
// Start order: registration → (registered) lease, status, watch of the own node → (podCIDR) CNI
// configuration → on_pod_cidrs. Everything is retried for ever and nothing waits; Start() returns
// at once. Hooks run on the threads of client and timers and must not block.
class NodeAgent {
 public:
  // The references outlive it.
  NodeAgent(kube::Client& client,
            const Clock& clock,
            TimerService& timers,
            kube::EventRecorder& events,
            NodeAgentOptions options,
            NodeAgentHooks hooks);
  ~NodeAgent();  // Stop()

  NodeAgent(const NodeAgent&) = delete;
  NodeAgent& operator=(const NodeAgent&) = delete;

  void Start();
  // The Node and its Lease stay. No hook runs afterwards. Not from a hook.
  void Stop();

  // What hooks.runtime answers has changed: conditions are written at once.
  void RuntimeChanged();

  const Capacity& capacity() const;
  // The own Node as last seen; null before it was registered.
  std::shared_ptr<const kube::Json> node() const;
  // Steady time of the last lease renewal; epoch when there was none.
  SteadyTime last_heartbeat() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::node
