#pragma once

#include "kube/api/quantity.h"
#include "provider/fargate/metering.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace farlet::app {

struct Taint {
  std::string key;
  std::string value;
  std::string effect;
};

// What `farlet node` is told, from the file of --config and from flags, which win. Key names follow
// KubeletConfiguration where it has the same thing; the table in config_fields.cc is the one place
// that names them, and README.md lists them.
struct NodeConfig {
  std::string node_name;   // empty: the host's name in lower case
  std::string node_ip;     // empty: the address of the interface with the default route
  std::string kubeconfig;  // with bootstrap_kubeconfig: where the node's own is written
  std::string bootstrap_kubeconfig;
  std::string provider_id;
  std::filesystem::path profiles;  // Fargate profiles to check pods by; empty: no check
  std::string fargate_prefix = "eks.amazonaws.com";
  fargate::Rates fargate_rates;
  std::map<std::string, std::string> node_labels;
  std::vector<Taint> register_with_taints;
  std::map<std::string, kube::Quantity> capacity;  // overrides of the host's facts
  int64_t max_pods = 110;

  std::filesystem::path root_dir = "/var/lib/farlet";
  std::filesystem::path cert_dir;  // empty: <root_dir>/pki
  std::filesystem::path pod_logs_dir = "/var/log/pods";
  std::filesystem::path cni_conf_dir;  // empty: somebody else configures CNI
  std::filesystem::path resolv_conf = "/etc/resolv.conf";

  std::string container_runtime_endpoint = "unix:///run/containerd/containerd.sock";
  std::string runtime_handler;
  std::string cgroup_root;
  std::string cgroup_driver = "cgroupfs";
  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";

  std::string address = "0.0.0.0";
  int64_t port = 10250;
  int64_t healthz_port = 10248;  // on 127.0.0.1; 0: none
  std::filesystem::path client_ca_file;
  bool server_tls_bootstrap = true;
  std::filesystem::path tls_cert_file;
  std::filesystem::path tls_private_key_file;

  int64_t kube_api_qps = 50;
  int64_t kube_api_burst = 100;
  int64_t event_qps = 50;
  int64_t event_burst = 100;
  int64_t max_parallel_image_pulls = 5;
  kube::Quantity container_log_max_size = kube::Quantity::FromMilli((int64_t{10} << 20) * 1000);
  int64_t container_log_max_files = 5;
  std::string log_level = "info";
};

// One "key" or "--flag" with its text, as the command line gave it.
struct FlagValue {
  std::string flag;
  std::string text;
};

// A documented setting: what --help and the README table are made from.
struct FieldHelp {
  std::string key;   // "nodeName"
  std::string flag;  // "node-name"
  std::string help;
};

std::vector<FieldHelp> ConfigFields();

// Reads `file` (may be empty), applies `flags` over it and validates the whole. Every error is one
// line that names the file and key, or the flag.
Result<NodeConfig> LoadNodeConfig(const std::filesystem::path& file,
                                  const std::vector<FlagValue>& flags);

}  // namespace farlet::app
