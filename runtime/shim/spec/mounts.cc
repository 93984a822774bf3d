#include "runtime/shim/spec/mounts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

constexpr std::array kGuestTypes = {"proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup"};
constexpr std::string_view kPlugin = "kubernetes.io~";
constexpr std::string_view kEmptyDir = "kubernetes.io~empty-dir";
constexpr std::string_view kSubPaths = "volume-subpaths";
constexpr std::array kReplicated = {"kubernetes.io~configmap", "kubernetes.io~secret",
                                    "kubernetes.io~projected", "kubernetes.io~downward-api"};

template <class List>
bool Has(const List& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// "<pod>/volumes/<plugin>/<name>[/<rest>]", the kubelet's layout.
struct VolumePath {
  std::string plugin;
  std::string name;
  path directory;  // of the volume
  path rest;
};

std::optional<VolumePath> SplitVolumePath(const path& source) {
  VolumePath found;
  path before;
  for (auto part = source.begin(); part != source.end(); ++part) {
    const bool plugin = part->native().starts_with(kPlugin) && before.filename() == "volumes";
    before /= *part;
    if (!plugin) {
      continue;
    }
    found.plugin = part->string();
    if (++part == source.end() || part->empty()) {
      return std::nullopt;
    }
    found.name = part->string();
    found.directory = before / *part;
    for (++part; part != source.end(); ++part) {
      found.rest /= *part;
    }
    return found;
  }
  return std::nullopt;
}

// "<pod>/volume-subpaths/<volume>/<container>/<index>": the pod's folder and the volume.
std::optional<std::pair<path, std::string>> SplitSubPath(const path& source) {
  const path volume = source.parent_path().parent_path();
  if (volume.parent_path().filename() != kSubPaths) {
    return std::nullopt;
  }
  return std::pair(volume.parent_path().parent_path(), volume.filename().string());
}

bool IsBelow(const path& what, const path& folder) {
  return std::mismatch(folder.begin(), folder.end(), what.begin(), what.end()).first ==
         folder.end();
}

class Translator {
 public:
  explicit Translator(const HostFacts& facts) : facts_(facts) {}

  void Add(const Cursor& item) {
    guest::v1::Mount mount;
    mount.set_destination(item["destination"].Text());
    if (!mount.destination().starts_with('/')) {
      item["destination"].Refuse("not an absolute path");
      return;
    }
    for (auto& option : item["options"].Texts()) {
      mount.add_options(std::move(option));
    }
    const std::string type = item["type"].Text();
    const bool bind =
        type == "bind" || Has(mount.options(), "bind") || Has(mount.options(), "rbind");
    if (bind) {
      AddBind(item, std::move(mount));
      return;
    }
    if (!Has(kGuestTypes, type) && type != "cgroup2") {
      item["type"].Refuse(fmt::format("{}: a VM cannot mount this", type));
      return;
    }
    mount.set_type(type == "cgroup2" ? "cgroup" : type);
    plan_.mounts.push_back(std::move(mount));
  }

  MountPlan Take() { return std::move(plan_); }

 private:
  void AddBind(const Cursor& item, guest::v1::Mount mount) {
    const path source = path(item["source"].Text()).lexically_normal();
    if (!source.is_absolute()) {
      item["source"].Refuse("not an absolute path");
      return;
    }
    if (mount.destination() == "/dev/shm" && IsSandboxShm(source)) {
      mount.set_shm(true);
      plan_.mounts.push_back(std::move(mount));
      return;
    }
    if (source == "/proc" || source == "/sys") {
      mount.set_type(source == "/proc" ? "proc" : "sysfs");
      DropBindOptions(mount);
      plan_.mounts.push_back(std::move(mount));
      return;
    }
    if (IsBelow(source, "/proc") || IsBelow(source, "/sys") || source == "/dev") {
      item["source"].Refuse(
          fmt::format("{}: a pod in a VM cannot have this of its host", source.string()),
          Code::kFailedPrecondition);
      return;
    }
    const Result<PathFacts> facts = facts_.At(source);
    if (!facts) {
      item["source"].Refuse(facts.error().message, facts.error().code);
      return;
    }
    if (facts->type == PathFacts::Type::kDevice) {
      AddDevice(item, mount, *facts);
      return;
    }
    AddVolumeOrShare(item, source, *facts, std::move(mount));
  }

  // The runtime's "…/SANDBOX/shm", which all containers of a pod share unless a volume, perhaps one
  // of that name, takes its place.
  static bool IsSandboxShm(const path& source) {
    return source.filename() == "shm" && !SplitVolumePath(source) && !SplitSubPath(source);
  }

  void AddVolumeOrShare(const Cursor& item,
                        const path& source,
                        const PathFacts& facts,
                        guest::v1::Mount mount) {
    if (const auto volume = SplitVolumePath(source)) {
      if (volume->plugin == kEmptyDir) {
        AddEmptyDir(item, *volume, std::move(mount));
        return;
      }
      if (Has(kReplicated, volume->plugin) && (!volume->rest.empty() || IsDirectory(facts))) {
        AddReplicated(*volume, std::move(mount));
        return;
      }
    }
    if (AddSubPathOfEmptyDir(item, source, mount)) {
      return;
    }
    AddShare(source, std::move(mount));
  }

  void AddShare(const path& source, guest::v1::Mount mount) {
    ShareNeed share{.mount = static_cast<int>(plan_.mounts.size()),
                    .host_path = source,
                    .readonly = Has(mount.options(), "ro") || Has(mount.options(), "rro")};
    const bool all = Has(mount.options(), "bind") || Has(mount.options(), "rro");
    if (share.readonly && !all && facts_.HasMountsBelow(source)) {
      share.writable_below = true;
      DropOption(mount, [](const std::string& option) { return option == "ro"; });
    }
    plan_.shares.push_back(std::move(share));
    plan_.mounts.push_back(std::move(mount));
  }

  static bool IsDirectory(const PathFacts& facts) {
    return facts.type == PathFacts::Type::kDirectory;
  }

  void AddEmptyDir(const Cursor& item, const VolumePath& volume, guest::v1::Mount mount) {
    const Result<PathFacts> facts = facts_.At(volume.directory);
    if (!facts) {
      item["source"].Refuse(facts.error().message, facts.error().code);
      return;
    }
    auto& dir = *mount.mutable_empty_dir();
    dir.set_name(volume.name);
    dir.set_memory(facts->tmpfs && IsMountPoint(volume.directory));
    if (dir.memory()) {
      dir.set_size_bytes(facts->filesystem_bytes);
    }
    dir.set_mode(facts->mode);
    dir.set_uid(facts->uid);
    dir.set_gid(facts->gid);
    mount.set_sub_path(volume.rest.string());
    plan_.mounts.push_back(std::move(mount));
  }

  // The host may well keep disk emptyDirs on a tmpfs of its own: only one that is mounted right
  // there is the volume's.
  bool IsMountPoint(const path& directory) const {
    return facts_.MountedRoot(directory).has_value();
  }

  void AddReplicated(const VolumePath& volume, guest::v1::Mount mount) {
    mount.set_volume(volume.name);
    mount.set_sub_path(volume.rest.string());
    VolumeNeed need{.name = volume.name, .host_path = volume.directory};
    if (!Has(plan_.volumes, need)) {
      plan_.volumes.push_back(std::move(need));
    }
    plan_.mounts.push_back(std::move(mount));
  }

  static bool Has(const std::vector<VolumeNeed>& list, const VolumeNeed& need) {
    return std::find(list.begin(), list.end(), need) != list.end();
  }

  template <class List>
  static bool Has(const List& list, std::string_view text) {
    return shim::Has(list, text);
  }

  // The kubelet binds the path in the volume to a place of its own, so what it is has to be read
  // from the mount table. False: not of an emptyDir.
  bool AddSubPathOfEmptyDir(const Cursor& item, const path& source, guest::v1::Mount& mount) {
    const auto split = SplitSubPath(source);
    if (!split) {
      return false;
    }
    const auto& [pod, name] = *split;
    const path directory = pod / "volumes" / kEmptyDir / name;
    const Result<std::string> root = facts_.MountedRoot(source);
    if (!root || !facts_.At(directory)) {
      return false;
    }
    // On disk the root is the path in the disk's file system, in a tmpfs the one in the volume.
    const std::string marker = fmt::format("/{}/{}/", kEmptyDir, name);
    const size_t at = root->find(marker);
    path rest = at == std::string::npos ? path(*root).relative_path()
                                        : path(root->substr(at + marker.size()));
    AddEmptyDir(item,
                VolumePath{.plugin = std::string(kEmptyDir),
                           .name = name,
                           .directory = directory,
                           .rest = std::move(rest)},
                std::move(mount));
    return true;
  }

  void AddDevice(const Cursor& item, const guest::v1::Mount& mount, const PathFacts& facts) {
    if (!IsGuestDevice(facts.device_major, facts.device_minor, facts.block_device)) {
      item["source"].Refuse("a pod in a VM cannot have a device of its host",
                            Code::kFailedPrecondition);
      return;
    }
    guest::v1::Device device;
    device.set_path(mount.destination());
    device.set_type("c");
    device.set_major(static_cast<int64_t>(facts.device_major));
    device.set_minor(static_cast<int64_t>(facts.device_minor));
    device.set_file_mode(facts.mode);
    device.set_uid(facts.uid);
    device.set_gid(facts.gid);
    plan_.devices.push_back(std::move(device));
  }

  static void DropBindOptions(guest::v1::Mount& mount) {
    DropOption(mount, [](const std::string& option) {
      return option == "bind" || option == "rbind" || option == "rslave" || option == "rshared";
    });
  }

  template <class Predicate>
  static void DropOption(guest::v1::Mount& mount, Predicate drop) {
    auto* const options = mount.mutable_options();
    options->erase(std::remove_if(options->begin(), options->end(), drop), options->end());
  }

  const HostFacts& facts_;
  MountPlan plan_;
};

}  // namespace

bool IsGuestDevice(uint64_t major, uint64_t minor, bool block_device) {
  // Documentation/admin-guide/devices.txt of the kernel.
  constexpr std::array<std::pair<uint64_t, uint64_t>, 9> kDevices = {
      {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {10, 200}, {10, 229}}};
  return !block_device &&
         std::find(kDevices.begin(), kDevices.end(), std::pair(major, minor)) != kDevices.end();
}

MountPlan TranslateMounts(const Cursor& mounts, const HostFacts& facts) {
  Translator translator(facts);
  mounts.EachItem([&](const Cursor& item) { translator.Add(item); });
  return translator.Take();
}

}  // namespace farlet::shim
