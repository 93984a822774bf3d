#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace farlet::vm {

enum class AccelerationMode { kAuto, kKvm, kTcg };

// What this host's administrator decides about VMs: /etc/farlet/vm.yaml, a flat YAML mapping. Every
// key is optional; the comment names it.
struct HostConfig {
  std::filesystem::path qemu = "/usr/bin/qemu-system-x86_64";             // qemu
  std::filesystem::path kernel = "/usr/lib/farlet/vm/vmlinux";            // kernel
  std::filesystem::path initramfs = "/usr/lib/farlet/vm/initramfs.cpio";  // initramfs
  // Images made of layers; may be deleted while no pod runs.
  std::filesystem::path cache_dir = "/var/cache/farlet/vm";  // cacheDir
  // A tmpfs: what is gone after a reboot.
  std::filesystem::path run_dir = "/run/farlet/vm";  // runDir
  // Saved machines, some 100 MB each; on a disk (see template_store.h).
  std::filesystem::path template_dir = "/var/cache/farlet/templates";  // templateDir

  AccelerationMode acceleration = AccelerationMode::kAuto;  // acceleration: auto, kvm, tcg
  bool cold_boot = false;                                   // coldBoot
  // For pods that name no limits.
  uint64_t default_memory_bytes = 512ull << 20;  // defaultMemory: "512Mi"
  uint32_t default_vcpus = 1;                    // defaultVcpus
  // The size of the writable disk of a pod that says nothing else.
  uint64_t ephemeral_storage_bytes = 20ull << 30;  // ephemeralStorage
  // The image cache is trimmed to this, least recently used first.
  uint64_t image_cache_bytes = 20ull << 30;  // imageCache
  // Machines that wait for a pod, of the sizes that pods had last; each costs the memory of an idle
  // pod. None with coldBoot.
  uint32_t pool_size = 0;  // poolSize: at most 64

  bool HasPool() const { return pool_size > 0 && !cold_boot; }

  bool operator==(const HostConfig&) const = default;
};

// kInvalidArgument names the key: unknown keys, relative paths and senseless values are refused.
Result<HostConfig> ParseHostConfig(std::string_view yaml);

// Reads `path`; a missing file is an error, unless `path` is kDefaultHostConfig (then: the
// defaults).
Result<HostConfig> LoadHostConfig(const std::filesystem::path& path);

inline constexpr std::string_view kDefaultHostConfig = "/etc/farlet/vm.yaml";

// The file to load: what the runtime's options name, else $FARLET_VM_CONFIG, else the default.
std::filesystem::path HostConfigPath(std::string_view from_runtime_options);

}  // namespace farlet::vm
