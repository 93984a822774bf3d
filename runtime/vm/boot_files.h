#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/host_config.h"

#include <filesystem>
#include <string>

namespace farlet::vm {

// What a machine boots, as deploy/vm/build left it: the two files, and SHA256SUMS beside each.
struct BootFiles {
  std::filesystem::path kernel;  // links resolved, so that an update does not mix old and new
  std::filesystem::path initramfs;
  std::string kernel_sha256;
  std::string initramfs_sha256;
};

// Reads the checksums and does not compute any. kFailedPrecondition says what is missing.
Result<BootFiles> FindBootFiles(const HostConfig& config);

// Compares the files with their checksums; some 40 MB, so once a template and not once a pod.
// kDataLoss names the one that differs.
Status VerifyBootFiles(const BootFiles& files);

// Path, size and time of change: another QEMU has another.
Result<std::string> FingerprintOf(const std::filesystem::path& program);

}  // namespace farlet::vm
