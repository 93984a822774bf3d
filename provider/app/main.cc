#include "provider/app/config.h"
#include "provider/app/node_command.h"
#include "provider/app/version.h"

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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // --help and --version are successes that CLI11 prints by itself.
    if (error.get_exit_code() == 0) {
      return app.exit(error);
    }
    return Fail(error.what());
  }
  return RunNodeCommand(file, texts);
}
