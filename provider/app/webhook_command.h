#pragma once

#include "runtime/base/clock.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace farlet::app {

// What `farlet webhook` is told.
struct WebhookConfig {
  std::filesystem::path kubeconfig;
  std::string address = "0.0.0.0";
  uint16_t port = 9443;
  std::string object_namespace = "farlet-system";  // of the Service, the Secret and the Lease
  std::string service = "farlet-webhook";
  std::vector<std::string> hosts;  // further names and addresses in the certificate
  std::string secret = "farlet-webhook-tls";
  std::string configuration = "farlet";  // MutatingWebhookConfiguration; empty: not ours to patch
  std::string identity;                  // of this replica; empty: the host's name and process id
  std::string prefix = "eks.amazonaws.com";
  std::string runtime_class = "farlet";
  std::string validation = "enforce";
  bool count_provisioned = true;
  std::vector<std::string> never_refused{"kube-system"};
  size_t max_selectors = 5;
  size_t max_labels = 5;
  seconds certificate_lifetime{std::chrono::hours(24 * 30)};
  seconds ca_lifetime{std::chrono::hours(24 * 365)};
  std::string log_level = "info";
};

// Adds the sub-command; when it is chosen, `chosen` is set and `config` filled.
void AddWebhookCommand(CLI::App& app, WebhookConfig& config, bool& chosen);

// Runs until SIGTERM or SIGINT and returns the exit code of the process: 0 after a signal, 2 when a
// flag or file is missing or malformed (one line on standard error, nothing started).
//
// Start order: profiles → certificate → (certificate and profiles there) HTTPS → election → what
// only the leader does: certificate, caBundle, status of profiles, routing of waiting pods.
int RunWebhook(const WebhookConfig& config);

}  // namespace farlet::app
