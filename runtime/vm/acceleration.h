#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/host_config.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace farlet::vm {

// How guest code runs here, and why.
struct Acceleration {
  enum class Kind { kTcg, kKvm };

  Kind kind = Kind::kTcg;
  std::string reason;  // "no vmx or svm in /proc/cpuinfo", "a guest booted in 210 ms"
  // The rate of the time-stamp counter, which a microvm cannot measure reliably by itself.
  uint32_t tsc_khz = 0;
  // With tcg: whether QEMU takes the plugin that drops translated code (runtime/vm/translation).
  bool translation_plugin = false;
  bool cached = false;  // from an earlier probe since this boot of the host
};

std::string_view AccelerationName(Acceleration::Kind kind);  // "tcg", "kvm"

// What was found out about this host; pure input of DecideAcceleration.
struct AccelerationFacts {
  AccelerationMode mode = AccelerationMode::kAuto;
  bool cpu_flag = false;                  // vmx or svm
  Status device;                          // /dev/kvm opened for reading and writing, version 12
  std::function<Status()> boot_with_kvm;  // the tiny boot, called only if the rest is good
};

// kFailedPrecondition if kvm is demanded and not there.
Result<Acceleration> DecideAcceleration(const AccelerationFacts& facts);

// The real probe: CPU flag, /dev/kvm, and a boot of the configured guest within 5 s. The answer is
// kept in config.run_dir under the host's boot id, QEMU's version and the kernel's hash, and logged
// when it is new. Processes that ask at once get the answer of the first.
Result<Acceleration> ProbeAcceleration(const HostConfig& config);

}  // namespace farlet::vm
