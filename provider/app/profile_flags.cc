#include "provider/app/profile_command.h"

#include <CLI/CLI.hpp>

namespace farlet::app {
namespace {

using Verb = ProfileCommand::Verb;

CLI::App* AddVerb(
    CLI::App& app, const char* name, const char* help, Verb verb, ProfileCommand& command) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->callback([&command, verb] { command.verb = verb; });
  sub->add_option("--kubeconfig", command.kubeconfig,
                  "how to reach the API server; default: $KUBECONFIG, in-cluster, ~/.kube");
  return sub;
}

}  // namespace

void AddProfileCommands(CLI::App& app, ProfileCommand& command) {
  CLI::App* profile = app.add_subcommand("profile", "Fargate profiles");
  profile->require_subcommand(1);
  CLI::App* apply = AddVerb(*profile, "apply",
                            "create or change the profiles of a file: eksctl's ClusterConfig with "
                            "fargateProfiles, or FargateProfile objects",
                            Verb::kApply, command);
  apply->add_option("-f,--filename", command.file, "YAML or JSON file")->required();
  CLI::App* get = AddVerb(*profile, "get", "show profiles", Verb::kGet, command);
  get->add_option("NAME", command.name, "only this one");
  get->add_option("-o,--output", command.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  CLI::App* remove = AddVerb(*profile, "delete", "delete a profile; its pods go on running",
                             Verb::kDelete, command);
  remove->add_option("NAME", command.name, "the profile")->required();
  remove->add_flag("--ignore-not-found", command.ignore_not_found, "no error when it is not there");
  CLI::App* explain =
      AddVerb(*profile, "explain", "say what becomes of the pods of a file, and why",
              Verb::kExplain, command);
  explain->add_option("FILE", command.file, "YAML of pods or workloads")->required();
  explain->add_option("--profiles", command.profiles,
                      "profiles of a file instead of the cluster's");
  explain->add_option("-n,--namespace", command.object_namespace,
                      "namespace of what has none in the file");
  explain->add_option("--prefix", command.prefix, "prefix of AWS's labels and annotations");
}

}  // namespace farlet::app
