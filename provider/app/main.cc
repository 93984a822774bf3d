#include "provider/app/config.h"
#include "provider/app/cost_command.h"
#include "provider/app/host_check.h"
#include "provider/app/node_command.h"
#include "provider/app/profile_command.h"
#include "provider/app/version.h"
#include "provider/app/webhook_command.h"
#include "runtime/base/log.h"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

// Nothing was started: a malformed flag, file or value.
constexpr int kUsageError = 2;

int Fail(const std::string& message) {
  std::fprintf(stderr, "farlet: %s\n", message.c_str());
  return kUsageError;
}

int RunNodeCommand(const std::string& file, const std::map<std::string, std::string>& texts) {
  std::vector<farlet::app::FlagValue> flags;
  for (const auto& [flag, text] : texts) {
    flags.push_back({.flag = flag, .text = text});
  }
  const auto config = farlet::app::LoadNodeConfig(file, flags);
  if (!config) {
    return Fail(config.error().message);
  }
  return farlet::app::RunNode(*config);
}

// 0 if pods can run in microVMs on this host, 1 if something is missing.
int RunCheckCommand(const std::string& vm_config, const std::string& runtime_endpoint) {
  const auto config = farlet::vm::LoadHostConfig(farlet::vm::HostConfigPath(vm_config));
  if (!config) {
    return Fail(config.error().message);
  }
  farlet::log::SetLevel(farlet::log::Level::kError);
  const auto findings = farlet::app::CheckHost(*config, runtime_endpoint);
  std::fputs(farlet::app::FormatFindings(findings).c_str(), stdout);
  return farlet::app::CanRunPods(findings) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("farlet: Fargate-like pods on any Kubernetes cluster");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(farlet::app::kVersion));

  CLI::App* node = app.add_subcommand("node", "run the node agent");
  std::string file;
  std::map<std::string, std::string> texts;
  node->add_option("--config", file,
                   "YAML file: apiVersion farlet.dev/v1alpha1, kind NodeConfiguration");
  for (const farlet::app::FieldHelp& field : farlet::app::ConfigFields()) {
    node->add_option_function<std::string>(
        "--" + field.flag,
        [&texts, flag = field.flag](const std::string& text) { texts[flag] = text; },
        field.help + " (" + field.key + ")");
  }
  CLI::App* check = app.add_subcommand("check", "say whether this host can run pods in microVMs");
  std::string vm_config;
  std::string runtime_endpoint = farlet::app::NodeConfig().container_runtime_endpoint;
  check->add_option("--vm-config", vm_config,
                    "YAML file of the microVMs (default: $FARLET_VM_CONFIG or " +
                        std::string(farlet::vm::kDefaultHostConfig) + ")");
  check->add_option("--container-runtime-endpoint", runtime_endpoint,
                    "containerd's socket; empty: leave it out (" + runtime_endpoint + ")");
  farlet::app::WebhookConfig webhook;
  bool run_webhook = false;
  farlet::app::AddWebhookCommand(app, webhook, run_webhook);
  farlet::app::ProfileCommand profile;
  farlet::app::AddProfileCommands(app, profile);
  farlet::app::CostCommand cost;
  farlet::app::AddCostCommand(app, cost);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version are successes that CLI11 prints by itself.
    if (error.get_exit_code() == 0) {
      return app.exit(error);
    }
    return Fail(error.what());
  }
  if (check->parsed()) {
    return RunCheckCommand(vm_config, runtime_endpoint);
  }
  if (run_webhook) {
    return farlet::app::RunWebhook(webhook);
  }
  if (profile.verb != farlet::app::ProfileCommand::Verb::kNone) {
    return farlet::app::RunProfileCommand(profile);
  }
  if (cost.chosen) {
    return farlet::app::RunCostCommand(cost);
  }
  return RunNodeCommand(file, texts);
}
