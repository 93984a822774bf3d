// containerd-shim-farlet-v2: containerd's runtime v2 shim for pods in microVMs.
#include "runtime/base/log.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/delete_command.h"
#include "runtime/shim/file_server_process.h"
#include "runtime/shim/info_command.h"
#include "runtime/shim/log_fifo.h"
#include "runtime/shim/pool/fill_command.h"
#include "runtime/shim/pool/spare_command.h"
#include "runtime/shim/serve_command.h"
#include "runtime/shim/start_command.h"
#include "runtime/shim/template_command.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::shim {
namespace {

constexpr int kUsageError = 2;

// `start` answers errors on standard output and error alike: containerd reads both as one text.
int Print(const Result<std::string>& answer) {
  if (!answer) {
    std::fprintf(stderr, "farlet: %s\n", answer.error().message.c_str());
    return EXIT_FAILURE;
  }
  std::fwrite(answer->data(), 1, answer->size(), stdout);
  return std::fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int Finish(const Status& status) {
  if (!status) {
    log::Error("farlet ends", {{"error", status.error()}});
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

int Run(const CommandLine& line) {
  switch (line.action) {
    case Action::kStart:
      LogNothing();
      return Print(RunStart(line));
    case Action::kDelete:
      return Print(RunDelete(line));
    case Action::kVersion:
      return Print(VersionText());
    case Action::kInfo:
      return Print(RunInfo());
    case Action::kServe:
      return Finish(RunServe(line));
    case Action::kFileServer:
      return Finish(RunFileServerCommand());
    case Action::kTemplate:
      if (line.background) {
        LogToFifo("log");
      }
      return Finish(RunTemplateCommand(line));
    case Action::kPool:
      if (line.background) {
        LogToFifo("log");
      }
      return Finish(RunPoolFiller(line));
    case Action::kSpare:
      return Finish(RunSpare(line));
  }
  return EXIT_FAILURE;
}

int Main(int argc, char** argv) {
  // Whoever reads may be gone at any time; a write says so.
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const Result<CommandLine> line = ParseCommandLine(arguments);
  if (!line) {
    std::fprintf(stderr, "containerd-shim-farlet-v2: %s\n", line.error().message.c_str());
    return kUsageError;
  }
  return Run(*line);
}

}  // namespace
}  // namespace farlet::shim

int main(int argc, char** argv) {
  return farlet::shim::Main(argc, argv);
}
