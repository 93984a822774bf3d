#pragma once

#include <string>
#include <string_view>

namespace farlet::guest {

// Where the agent keeps things. In a VM these are fixed places; outside one all of it is below a
// scratch folder.
struct Layout {
  std::string run = "/run/farlet";
  // A cgroup v2 directory of our own, the root of the hierarchy in a VM.
  std::string cgroup = "/sys/fs/cgroup";
  // Outside a VM the clock, the random generator and the machine are not ours to change, and
  // cgroup controllers that are missing are passed over.
  bool inside_vm = true;

  // The file server's tree.
  std::string Share() const { return run + "/share"; }

  // The writable disk.
  std::string Disk() const { return run + "/disk"; }

  // Writable layer and overlay work folder of one container.
  std::string ContainerDisk(std::string_view id) const { return Disk() + "/c/" + std::string(id); }

  std::string Trash() const { return Disk() + "/trash"; }

  std::string DiskDir(std::string_view name) const { return Disk() + "/e/" + std::string(name); }

  std::string MemoryDir(std::string_view name) const { return run + "/mem/" + std::string(name); }

  std::string Volume(std::string_view name) const { return run + "/volumes/" + std::string(name); }

  std::string Shm() const { return run + "/shm"; }

  // A private mount in which a container's root is put together, in its own mount namespace.
  std::string Build() const { return run + "/build"; }

  std::string PodCgroup() const { return cgroup + "/pod"; }
};

}  // namespace farlet::guest
