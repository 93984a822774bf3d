#pragma once

#include "runtime/vm/boot_files.h"
#include "runtime/vm/machine.h"

#include <string>

namespace farlet::vm {

// What a saved machine depends on beside its hardware.
struct TemplateInputs {
  BootFiles files;
  std::string qemu_fingerprint;
  std::string handshake_version;
  // The host's: after a crash nobody knows what of a template reached the disk.
  std::string boot_id;
};

// All of it as a file name: equal keys, interchangeable machines.
std::string TemplateKey(const MachineSpec& spec, const TemplateInputs& inputs);

}  // namespace farlet::vm
