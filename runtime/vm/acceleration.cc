#include "runtime/vm/acceleration.h"

#include "runtime/base/file.h"
#include "runtime/base/file_lock.h"
#include "runtime/base/log.h"
#include "runtime/base/sha256.h"
#include "runtime/base/undo.h"
#include "runtime/vm/boot_files.h"
#include "runtime/vm/null_tap.h"
#include "runtime/vm/qemu_vm.h"
#include "runtime/vm/translation/plugin_file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <fstream>
#include <system_error>
#include <thread>

namespace farlet::vm {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;
using Kind = Acceleration::Kind;

constexpr std::chrono::seconds kBootDeadline{5};
constexpr std::chrono::milliseconds kTscWindow{100};
// Longer than a probe takes, also one that ends by its deadline.
constexpr std::chrono::seconds kProbeTurn{15};

bool CpuHasVirtualization() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("flags")) {
      line += ' ';
      return line.find(" vmx ") != std::string::npos || line.find(" svm ") != std::string::npos;
    }
  }
  return false;
}

Status CheckKvmDevice() {
  const UniqueFd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open /dev/kvm");
  }
  const int version = ::ioctl(fd.get(), KVM_GET_API_VERSION, 0);
  if (version != KVM_API_VERSION) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("/dev/kvm: speaks version {}", version));
  }
  return {};
}

struct Probe {
  const HostConfig& config;
  const BootFiles& files;
  uint32_t tsc_khz = 0;
};

// A machine is started, `then` is done with it, and it ends.
Status WithMachine(const Probe& probe,
                   Kind kind,
                   const std::filesystem::path& translation_plugin,
                   const std::function<Status(QemuVm&)>& then) {
  QemuLaunch launch{.qemu = probe.config.qemu,
                    .kernel = probe.files.kernel,
                    .initramfs = probe.files.initramfs,
                    .translation_plugin = translation_plugin,
                    .spec = {{.vcpus = 1, .memory_mib = 256}, kind, probe.tsc_khz}};
  launch.options.work_dir = probe.config.run_dir / fmt::format("probe-{}", ::getpid());
  FARLET_TRY(MakeDirectories(launch.options.work_dir, 0700));
  const std::filesystem::path folder = launch.options.work_dir;
  const Undo remove([&folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  FARLET_ASSIGN(launch.options.tap, MakeNullTap());
  FARLET_ASSIGN(const auto vm, QemuVm::Launch(std::move(launch)));
  return then(*vm);
}

// Boots the guest until its agent opens its port.
Status BootWithKvm(const Probe& probe) {
  const auto deadline = steady_clock::now() + kBootDeadline;
  return WithMachine(probe, Kind::kKvm, {}, [&](QemuVm& vm) { return vm.AwaitAgent(deadline); });
}

// QEMU may be built without plugins, or for other versions of them than ours.
Status TryTranslationPlugin(const Probe& probe) {
  FARLET_ASSIGN(const auto plugin, PlaceTranslationPlugin(probe.config.run_dir));
  return WithMachine(probe, Kind::kTcg, plugin, [](QemuVm& /*vm*/) { return Status(); });
}

uint64_t NowNs() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC_RAW, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

struct TscSample {
  uint64_t ns = 0;
  uint64_t tsc = 0;
};

// The clock and the counter at the same moment: the attempt that was disturbed least.
TscSample SampleTsc() {
  TscSample best;
  uint64_t shortest = ~0ull;
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = __rdtsc();
    const uint64_t ns = NowNs();
    const uint64_t after = __rdtsc();
    if (after - before < shortest) {
      shortest = after - before;
      best = {.ns = ns, .tsc = before + (after - before) / 2};
    }
  }
  return best;
}

uint32_t MeasureTscKhz() {
  const TscSample first = SampleTsc();
  std::this_thread::sleep_for(kTscWindow);
  const TscSample second = SampleTsc();
  return static_cast<uint32_t>((second.tsc - first.tsc) * 1'000'000 / (second.ns - first.ns));
}

std::string_view ModeName(AccelerationMode mode) {
  switch (mode) {
    case AccelerationMode::kKvm:
      return "kvm";
    case AccelerationMode::kTcg:
      return "tcg";
    case AccelerationMode::kAuto:
      break;
  }
  return "auto";
}

Result<std::string> CacheKey(const HostConfig& config, const BootFiles& files) {
  FARLET_ASSIGN(const std::string boot, ReadFile("/proc/sys/kernel/random/boot_id", 256));
  FARLET_ASSIGN(const std::string qemu, FingerprintOf(config.qemu));
  Sha256 digest;
  for (const std::string_view part :
       {std::string_view(boot), std::string_view(qemu), std::string_view(files.kernel_sha256),
        std::string_view(files.initramfs_sha256), ModeName(config.acceleration),
        TranslationPlugin()}) {
    digest.UpdateField(part);
  }
  return digest.FinishHex();
}

std::filesystem::path CachePath(const HostConfig& config) {
  return config.run_dir / "acceleration.json";
}

Result<Acceleration> ReadCache(const HostConfig& config, const std::string& key) {
  FARLET_ASSIGN(const std::string text, ReadFile(CachePath(config), 64u << 10));
  try {
    const json root = json::parse(text);
    if (root.at("key").get<std::string>() != key) {
      return NotFound("probed under other circumstances");
    }
    return Acceleration{.kind = root.at("kvm").get<bool>() ? Kind::kKvm : Kind::kTcg,
                        .reason = root.at("reason").get<std::string>(),
                        .tsc_khz = root.at("tscKhz").get<uint32_t>(),
                        .translation_plugin = root.at("translationPlugin").get<bool>(),
                        .cached = true};
  } catch (const json::exception& exception) {
    return MakeError(Code::kDataLoss, exception.what());
  }
}

void WriteCache(const HostConfig& config, const std::string& key, const Acceleration& result) {
  const json root = {{"key", key},
                     {"kvm", result.kind == Kind::kKvm},
                     {"reason", result.reason},
                     {"tscKhz", result.tsc_khz},
                     {"translationPlugin", result.translation_plugin}};
  if (const Status status = WriteFileAtomic(CachePath(config), root.dump(), 0600); !status) {
    log::Warning("what was found out about the CPU is not kept", {{"error", status.error()}});
  }
}

// One probe after the other: two measurements of the clock differ a little, and each answer would
// be a template of its own.
Result<UniqueFd> TakeTurn(const HostConfig& config) {
  FARLET_TRY(MakeDirectories(config.run_dir, 0711));
  return LockFileUntil(config.run_dir / "acceleration.lock", LockKind::kExclusive,
                       steady_clock::now() + kProbeTurn);
}

Result<Acceleration> ProbeNow(const HostConfig& config, const BootFiles& files) {
  const Probe probe{config, files, MeasureTscKhz()};
  AccelerationFacts facts{.mode = config.acceleration, .cpu_flag = CpuHasVirtualization()};
  facts.device = CheckKvmDevice();
  facts.boot_with_kvm = [&] { return BootWithKvm(probe); };
  FARLET_ASSIGN(Acceleration result, DecideAcceleration(facts));
  result.tsc_khz = probe.tsc_khz;
  if (result.kind == Kind::kTcg) {
    const Status taken = TryTranslationPlugin(probe);
    result.translation_plugin = taken.has_value();
    if (!taken) {
      log::Info("machines at rest keep their translated code", {{"reason", taken.error()}});
    }
  }
  log::Info("how guests run on this host", {{"acceleration", AccelerationName(result.kind)},
                                            {"reason", result.reason},
                                            {"tsc_khz", probe.tsc_khz}});
  return result;
}

}  // namespace

std::string_view AccelerationName(Kind kind) {
  return kind == Kind::kKvm ? "kvm" : "tcg";
}

Result<Acceleration> DecideAcceleration(const AccelerationFacts& facts) {
  if (facts.mode == AccelerationMode::kTcg) {
    return Acceleration{.kind = Kind::kTcg, .reason = "the configuration says so"};
  }
  std::string against;
  const auto start = steady_clock::now();
  if (!facts.cpu_flag) {
    // A /dev/kvm without these is emulated, and slower than QEMU's own emulation.
    against = "the CPU has neither vmx nor svm";
  } else if (!facts.device) {
    against = facts.device.error().message;
  } else if (const Status booted = facts.boot_with_kvm(); !booted) {
    against = "a guest did not boot with it: " + booted.error().message;
  }
  if (against.empty()) {
    const auto took = std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - start);
    return Acceleration{.kind = Kind::kKvm,
                        .reason = fmt::format("a guest booted in {} ms", took.count())};
  }
  if (facts.mode == AccelerationMode::kKvm) {
    return MakeError(Code::kFailedPrecondition, "the configuration demands kvm: " + against);
  }
  return Acceleration{.kind = Kind::kTcg, .reason = "no kvm: " + against};
}

Result<Acceleration> ProbeAcceleration(const HostConfig& config) {
  FARLET_ASSIGN(const BootFiles files, FindBootFiles(config));
  FARLET_ASSIGN(const std::string key, CacheKey(config, files));
  if (auto cached = ReadCache(config, key)) {
    return cached;
  }
  const auto turn = TakeTurn(config);
  if (!turn) {
    log::Warning("this host is probed beside another process", {{"error", turn.error()}});
  } else if (auto cached = ReadCache(config, key)) {
    return cached;
  }
  FARLET_ASSIGN(Acceleration result, ProbeNow(config, files));
  WriteCache(config, key, result);
  return result;
}

}  // namespace farlet::vm
