#pragma once

#include <filesystem>
#include <string>

namespace CLI {
class App;
}

namespace farlet::app {

// What `farlet cost` is told.
struct CostCommand {
  bool chosen = false;
  std::filesystem::path kubeconfig;
  std::string object_namespace;  // empty: all
  std::string since;             // empty: everything that the nodes know
  std::string output = "table";
  bool pods = false;
};

void AddCostCommand(CLI::App& app, CostCommand& command);

// Asks every farlet node through the API server and prints the sums. Returns the exit code of the
// process: 0; 1 when a node has not answered, which is said on standard error (the sums are those
// of the others); 2 when there is nothing to print (one line on standard error says why).
int RunCostCommand(const CostCommand& command);

}  // namespace farlet::app
