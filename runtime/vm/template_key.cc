#include "runtime/vm/template_key.h"

#include "runtime/base/sha256.h"

#include <fmt/format.h>

#include <string>

namespace farlet::vm {

std::string TemplateKey(const MachineSpec& spec, const TemplateInputs& inputs) {
  Sha256 digest;
  digest.UpdateField(inputs.boot_id);
  digest.UpdateField(inputs.qemu_fingerprint);
  digest.UpdateField(inputs.files.kernel_sha256);
  digest.UpdateField(inputs.files.initramfs_sha256);
  digest.UpdateField(inputs.handshake_version);
  for (const std::string& argument : QemuArguments(spec, MemoryKind::kClone)) {
    digest.UpdateField(argument);
  }
  digest.UpdateField(std::to_string(spec.disk_bytes));
  return fmt::format("{}mib-{}cpu-{}", spec.size.memory_mib, spec.size.vcpus, digest.FinishHex());
}

}  // namespace farlet::vm
