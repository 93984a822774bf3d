#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/spec/cursor.h"
#include "runtime/shim/spec/host_facts.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::shim {

// A mount whose content comes from the host through the file server.
struct ShareNeed {
  int mount = 0;  // index into CreateContainerRequest.mounts, whose share_path is to be filled in
  std::filesystem::path host_path;
  bool readonly = false;
  // What the host has mounted below stays writable: read-only is a property of one mount, unless
  // the spec says `rro`. The guest sees one file system, so there it is mounted writable.
  bool writable_below = false;

  bool operator==(const ShareNeed&) const = default;
};

// A volume that has to be replicated into the guest before the container is created.
struct VolumeNeed {
  std::string name;
  std::filesystem::path host_path;

  bool operator==(const VolumeNeed&) const = default;
};

struct MountPlan {
  std::vector<guest::v1::Mount> mounts;
  std::vector<guest::v1::Device> devices;  // sources that are device files
  std::vector<ShareNeed> shares;
  std::vector<VolumeNeed> volumes;
};

// The spec's mounts, in their order:
//
//   proc, sysfs, tmpfs, mqueue, devpts, cgroup      the guest's own
//   bind on /dev/shm                                the pod's shared memory in the guest
//   …/kubernetes.io~empty-dir/NAME                  a directory or tmpfs in the guest
//   …/volume-subpaths/NAME/… of such a volume       a path in that
//   …/kubernetes.io~{configmap,secret,projected,    replicated into the guest, so that containers
//       downward-api}/NAME                          see updates by inotify
//   bind of /proc, /sys                             the guest's own
//   a device file of the kernel (null, fuse, tun…)  a device of the guest
//   every other bind                                the host's file or directory, shared
//
// What a VM cannot have (the host's devices, what is below /proc and /sys) is refused at the
// cursor.
MountPlan TranslateMounts(const Cursor& mounts, const HostFacts& facts);

// Whether the guest's kernel has the character device too: null, zero, full, random, urandom, tty,
// ptmx, fuse, net/tun.
bool IsGuestDevice(uint64_t major, uint64_t minor, bool block_device);

}  // namespace farlet::shim
