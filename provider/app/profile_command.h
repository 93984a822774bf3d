#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace farlet::app {

// What `farlet profile …` is told.
struct ProfileCommand {
  enum class Verb { kNone, kApply, kGet, kDelete, kExplain };

  Verb verb = Verb::kNone;
  std::filesystem::path kubeconfig;
  std::filesystem::path file;      // apply: profiles; explain: pods
  std::filesystem::path profiles;  // explain: instead of the cluster's
  std::string name;
  std::string output = "table";
  std::string object_namespace = "default";
  std::string prefix = "eks.amazonaws.com";
  bool ignore_not_found = false;
};

// Adds the sub-commands; the one that is chosen sets `command.verb`.
void AddProfileCommands(CLI::App& app, ProfileCommand& command);

// Returns the exit code of the process: 0, 1 when explained pods are refused, 2 after an error (one
// line on standard error). What `apply` did before an error stays done.
int RunProfileCommand(const ProfileCommand& command);

}  // namespace farlet::app
