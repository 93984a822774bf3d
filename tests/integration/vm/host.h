#pragma once

#include "runtime/vm/host_config.h"

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace farlet::vm {

// What a test has of a host: boot files with a guest program of its own (made once by
// deploy/vm/build and kept in the build folder), and a folder on a tmpfs that ends with the test.
class TestHost {
 public:
  // `guest` is /init of the machines.
  explicit TestHost(std::filesystem::path guest = FARLET_TEST_GUEST) : guest_(std::move(guest)) {}

  ~TestHost();

  bool Prepare();

  const std::string& error() const { return error_; }

  const HostConfig& config() const { return config_; }

  std::filesystem::path NewWorkDir();
  std::filesystem::path NewFile(const std::string& content);
  std::filesystem::path CopyBootFiles();

  // Folders of complete templates.
  std::vector<std::filesystem::path> Templates() const;

  // Puts `content` into a template's state, and a manifest that agrees.
  bool ReplaceState(const std::filesystem::path& folder, const std::string& content);

 private:
  const std::filesystem::path guest_;
  std::filesystem::path folder_;
  HostConfig config_;
  std::string error_;
  std::atomic<int> last_ = 0;
};

// Pages of a process that are its own.
uint64_t AnonymousKib(pid_t pid);
// Of these, those that may be written and executed: QEMU's translated code.
uint64_t CodeKib(pid_t pid);
// Its share of all that is mapped.
uint64_t ProportionalKib(pid_t pid);

}  // namespace farlet::vm
