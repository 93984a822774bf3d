#include "provider/app/host_check.h"

#include "runtime/base/fd.h"
#include "runtime/cri/grpc_client.h"
#include "runtime/vm/acceleration.h"
#include "runtime/vm/boot_files.h"
#include "runtime/vm/disk/program.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <future>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

namespace farlet::app {
namespace {

using Verdict = Finding::Verdict;

// A template takes some 100 MB, an image about as much as it takes in containerd.
constexpr uint64_t kLittleSpace = 2ull << 30;

Finding Good(std::string what, std::string found) {
  return {.what = std::move(what), .verdict = Verdict::kGood, .found = std::move(found)};
}

Finding Missing(std::string what, const Error& why) {
  return {.what = std::move(what), .verdict = Verdict::kMissing, .found = why.message};
}

Finding CheckQemu(const vm::HostConfig& config) {
  const auto found = vm::FingerprintOf(config.qemu);
  return found ? Good("qemu", config.qemu.string()) : Missing("qemu", found.error());
}

Finding CheckGuest(const vm::HostConfig& config) {
  const auto files = vm::FindBootFiles(config);
  if (!files) {
    return Missing("guest", files.error());
  }
  const Status verified = vm::VerifyBootFiles(*files);
  return verified ? Good("guest", fmt::format("{}, {}; checksums match", files->kernel.string(),
                                              files->initramfs.string()))
                  : Missing("guest", verified.error());
}

Finding CheckAcceleration(const vm::HostConfig& config) {
  const auto probed = vm::ProbeAcceleration(config);
  if (!probed) {
    return Missing("acceleration", probed.error());
  }
  const bool kvm = probed->kind == vm::Acceleration::Kind::kKvm;
  return {.what = "acceleration",
          .verdict = kvm ? Verdict::kGood : Verdict::kPoor,
          .found = fmt::format("{}: {}{}", vm::AccelerationName(probed->kind), probed->reason,
                               kvm ? "" : "; pods run under emulation, several times slower")};
}

Finding CheckProgram(const char* name, const char* package) {
  const Status ran = disk::Run({.path = name, .arguments = {"-V"}});
  if (!ran && ran.error().code == Code::kFailedPrecondition) {
    return Missing(name, Wrap(fmt::format("install {}", package), ran.error()));
  }
  return Good(name, "installed");
}

Finding CheckTap() {
  const UniqueFd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  return tun.valid() ? Good("network", "/dev/net/tun")
                     : Missing("network", Wrap("load the module tun, and run this as root",
                                               ErrnoError(errno, "open /dev/net/tun")));
}

Finding CheckCgroups() {
  struct statfs info {};

  if (::statfs("/sys/fs/cgroup", &info) != 0) {
    return Missing("cgroups", ErrnoError(errno, "look at /sys/fs/cgroup"));
  }
  const bool v2 = info.f_type == CGROUP2_SUPER_MAGIC;
  return Good("cgroups", v2 ? "v2" : "v1; guests have v2 nevertheless");
}

Finding CheckSpace(const char* what, std::filesystem::path folder) {
  std::error_code ignored;
  while (!std::filesystem::exists(folder, ignored) && folder.has_relative_path()) {
    folder = folder.parent_path();
  }

  struct statvfs info {};

  if (::statvfs(folder.c_str(), &info) != 0) {
    return Missing(what, ErrnoError(errno, "look at " + folder.string()));
  }
  const uint64_t free = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  const bool little = free < kLittleSpace;
  return {.what = what,
          .verdict = little ? Verdict::kPoor : Verdict::kGood,
          .found = fmt::format("{:.1f} GiB free under {}{}",
                               static_cast<double>(free) / static_cast<double>(1ull << 30),
                               folder.string(), little ? "; make room" : "")};
}

Finding CheckRuntime(const std::string& endpoint) {
  auto client = cri::ConnectGrpcClient(endpoint);
  if (!client) {
    return Missing("containerd", client.error());
  }
  std::promise<Result<cri::RuntimeVersion>> answered;
  (*client)->Version(
      [&](Result<cri::RuntimeVersion> version) { answered.set_value(std::move(version)); });
  const Result<cri::RuntimeVersion> version = answered.get_future().get();
  return version ? Good("containerd", fmt::format("{} {} at {}", version->runtime_name,
                                                  version->runtime_version, endpoint))
                 : Missing("containerd", version.error());
}

std::string_view Word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kGood:
      return "ok";
    case Verdict::kPoor:
      return "poor";
    case Verdict::kMissing:
      break;
  }
  return "missing";
}

}  // namespace

std::vector<Finding> CheckHost(const vm::HostConfig& config, const std::string& runtime_endpoint) {
  std::vector<Finding> findings = {
      CheckQemu(config),
      CheckGuest(config),
      CheckAcceleration(config),
      CheckProgram("mkfs.erofs", "erofs-utils"),
      CheckProgram("mkfs.ext4", "e2fsprogs"),
      CheckTap(),
      CheckCgroups(),
      CheckSpace("images", config.cache_dir),
      CheckSpace("templates", config.template_dir),
  };
  if (!runtime_endpoint.empty()) {
    findings.push_back(CheckRuntime(runtime_endpoint));
  }
  return findings;
}

std::string FormatFindings(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{:<8} {:<13} {}\n", Word(finding.verdict), finding.what, finding.found);
  }
  return text;
}

bool CanRunPods(const std::vector<Finding>& findings) {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.verdict == Verdict::kMissing; });
}

}  // namespace farlet::app
