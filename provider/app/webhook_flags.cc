#include "provider/app/webhook_command.h"

#include <CLI/CLI.hpp>

namespace farlet::app {

void AddWebhookCommand(CLI::App& app, WebhookConfig& config, bool& chosen) {
  CLI::App* webhook =
      app.add_subcommand("webhook", "run the admission webhook, and what profiles need beside it");
  webhook->callback([&chosen] { chosen = true; });
  webhook->add_option("--kubeconfig", config.kubeconfig,
                      "how to reach the API server; default: $KUBECONFIG, in-cluster, ~/.kube");
  webhook->add_option("--address", config.address, "IP address to listen on");
  webhook->add_option("--port", config.port, "port to listen on");
  webhook->add_option("--namespace", config.object_namespace,
                      "namespace of the Service, the Secret and the Lease");
  webhook->add_option("--service", config.service, "name of the Service");
  webhook->add_option("--host", config.hosts,
                      "further DNS names and IP addresses of the certificate");
  webhook->add_option("--secret", config.secret, "Secret that holds the certificate");
  webhook->add_option("--configuration", config.configuration,
                      "MutatingWebhookConfiguration that gets the caBundle; empty: none");
  webhook->add_option("--identity", config.identity, "name of this replica in the election");
  webhook->add_option("--prefix", config.prefix, "prefix of AWS's labels, taints, annotations");
  webhook->add_option("--runtime-class", config.runtime_class,
                      "RuntimeClass of Fargate pods; empty: none");
  webhook->add_option("--validation", config.validation,
                      "enforce: refuse what Fargate cannot run; warn: admit it with a warning");
  webhook->add_option("--count-provisioned", config.count_provisioned,
                      "request the provisioned size, which nodes have to have");
  webhook->add_option("--never-refuse", config.never_refused,
                      "namespaces in which no pod is refused");
  webhook->add_option("--max-selectors", config.max_selectors, "selectors that a profile may have");
  webhook->add_option("--max-labels", config.max_labels, "labels that a selector may have");
  webhook->add_option_function<int64_t>(
      "--certificate-lifetime",
      [&config](int64_t value) { config.certificate_lifetime = seconds(value); },
      "seconds; the certificate is renewed after two thirds of it");
  webhook->add_option_function<int64_t>(
      "--ca-lifetime", [&config](int64_t value) { config.ca_lifetime = seconds(value); },
      "seconds; at least three times that of the certificate");
  webhook->add_option("--log-level", config.log_level, "debug, info, warning or error");
}

}  // namespace farlet::app
