#include "tests/integration/vm/host.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/vm/template_manifest.h"

#include <fmt/format.h>

#include <fcntl.h>

#include <array>
#include <cstdio>
#include <sstream>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;

uint64_t RollupKib(pid_t pid, const std::string& key) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) {
      return std::stoull(line.substr(key.size() + 1));
    }
  }
  return 0;
}

// The access of a mapping, if this is the first line of one in smaps: "begin-end rwxp …".
std::string AccessOf(const std::string& line) {
  const size_t space = line.find(' ');
  return line.find('-') < space ? line.substr(space + 1, 4) : std::string();
}

}  // namespace

TestHost::~TestHost() {
  std::error_code ignored;
  if (!folder_.empty()) {
    fs::remove_all(folder_, ignored);
  }
}

bool TestHost::Prepare() {
  const fs::path output = fs::path(FARLET_VM_TEST_DIR) / guest_.filename();
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread exists.
  const char* deb = std::getenv("FARLET_KERNEL_DEB");
  const std::string command =
      fmt::format("'{}' --guest '{}' --output '{}' --cache '{}' {} 2>&1", FARLET_VM_BUILD,
                  guest_.string(), output.string(), (fs::path(FARLET_VM_TEST_DIR) / "deb").string(),
                  deb != nullptr ? fmt::format("--deb '{}'", deb) : "");
  // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): a program of the project's, before any
  // thread exists.
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> buffer{};
  for (size_t count = 0; (count = ::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    error_.append(buffer.data(), count);
  }
  if (::pclose(pipe) != 0) {
    return false;
  }
  std::string pattern = "/dev/shm/farlet-vm-test-XXXXXX";
  folder_ = ::mkdtemp(pattern.data());
  config_.kernel = output / "vmlinux";
  config_.initramfs = output / "initramfs.cpio";
  config_.run_dir = folder_ / "run";
  config_.cache_dir = folder_ / "cache";
  config_.template_dir = folder_ / "templates";
  return true;
}

fs::path TestHost::NewWorkDir() {
  const fs::path path = folder_ / fmt::format("vm-{}-{}", ::getpid(), ++last_);
  fs::create_directories(path);
  return path;
}

fs::path TestHost::NewFile(const std::string& content) {
  const fs::path path = folder_ / fmt::format("file-{}", ++last_);
  std::ofstream(path) << content;
  return path;
}

fs::path TestHost::CopyBootFiles() {
  const fs::path copy = folder_ / "boot";
  fs::copy(config_.kernel.parent_path() / "", copy);
  return copy;
}

std::vector<fs::path> TestHost::Templates() const {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.template_dir, error)) {
    if (fs::exists(entry.path() / "manifest.json")) {
      found.push_back(entry.path());
    }
  }
  return found;
}

bool TestHost::ReplaceState(const fs::path& folder, const std::string& content) {
  std::ofstream(folder / "state") << content;
  const auto text = ReadFile(folder / "manifest.json");
  auto manifest = ParseManifest(*text);
  const UniqueFd fd(::open((folder / "state").c_str(), O_RDONLY | O_CLOEXEC));
  manifest->state = *DescribeFile(fd.get());
  manifest->state.checksum = *ChecksumOf(fd.get());
  return WriteFileAtomic(folder / "manifest.json", FormatManifest(*manifest), 0600).has_value();
}

uint64_t AnonymousKib(pid_t pid) {
  return RollupKib(pid, "Anonymous");
}

uint64_t CodeKib(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps", pid));
  uint64_t sum = 0;
  bool code = false;
  for (std::string line; std::getline(file, line);) {
    if (const std::string access = AccessOf(line); !access.empty()) {
      code = access == "rwxp";
    } else if (code && line.starts_with("Rss:")) {
      sum += std::stoull(line.substr(4));
    }
  }
  return sum;
}

uint64_t ProportionalKib(pid_t pid) {
  return RollupKib(pid, "Pss");
}

}  // namespace farlet::vm
