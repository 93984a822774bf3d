#include "runtime/guest/container_mounts.h"

#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace farlet::guest {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 5> kLinks = {{
    {"/proc/self/fd", "/dev/fd"},
    {"/proc/self/fd/0", "/dev/stdin"},
    {"/proc/self/fd/1", "/dev/stdout"},
    {"/proc/self/fd/2", "/dev/stderr"},
    {"pts/ptmx", "/dev/ptmx"},
}};

Status SetAttributes(int tree, const MountOptions& options, const std::string& destination) {
  const auto apply = [&](uint64_t set, uint64_t clear, uint64_t propagation, bool recursive) {
    if (set == 0 && clear == 0 && propagation == 0) {
      return true;
    }
    mount_attr attributes{};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    attributes.propagation = propagation;
    const unsigned flags = static_cast<unsigned>(AT_EMPTY_PATH) |
                           (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0u);
    return ::mount_setattr(tree, "", flags, &attributes, sizeof attributes) == 0;
  };
  if (!apply(0, 0, options.propagation, options.propagation_recursive) ||
      !apply(options.recursive_set, options.recursive_clear, 0, true) ||
      !apply(options.attributes_set, options.attributes_clear, 0, false)) {
    return ErrnoError(errno, "set attributes of mount " + destination);
  }
  return {};
}

Result<UniqueFd> OpenOrigin(const MountPlan& mount) {
  FARLET_ASSIGN(UniqueFd root, Open(mount.root, O_PATH));
  if (mount.path.empty()) {
    return root;
  }
  auto found = OpenBeneath(root.get(), mount.path, O_PATH);
  if (found || found.error().code != Code::kNotFound || !mount.make_path) {
    return found;
  }
  // Part by part, so that no symlink leads out.
  UniqueFd parent = std::move(root);
  size_t begin = 0;
  while (begin < mount.path.size()) {
    const size_t end = std::min(mount.path.find('/', begin), mount.path.size());
    const std::string part = mount.path.substr(begin, end - begin);
    if (::mkdirat(parent.get(), part.c_str(), 0777) != 0 && errno != EEXIST) {
      return ErrnoError(errno, "create folder " + mount.path);
    }
    FARLET_ASSIGN(parent, OpenBeneath(parent.get(), part, O_PATH | O_DIRECTORY));
    begin = end + 1;
  }
  return parent;
}

// A folder or an empty file to mount on.
Status MakeTarget(const std::string& destination, bool directory) {
  if (directory) {
    return MakePath(destination);
  }

  struct stat info {};

  if (::stat(destination.c_str(), &info) == 0) {
    return {};
  }
  const size_t slash = destination.rfind('/');
  if (slash > 0) {
    FARLET_TRY(MakePath(destination.substr(0, slash)));
  }
  auto created = Open(destination, O_WRONLY | O_CREAT, 0644);
  return created ? Status() : Status(std::move(created).error());
}

Status MountBind(const MountPlan& mount, int tree) {
  struct stat info {};

  if (::fstat(tree, &info) != 0) {
    return ErrnoError(errno, "stat the origin of mount " + mount.destination);
  }
  FARLET_TRY(MakeTarget(mount.destination, S_ISDIR(info.st_mode)));
  if (::move_mount(tree, "", AT_FDCWD, mount.destination.c_str(),
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return ErrnoError(errno, "mount on " + mount.destination);
  }
  return {};
}

Status MountNew(const MountPlan& mount) {
  FARLET_TRY(MakeTarget(mount.destination, true));
  const MountOptions& options = mount.options;
  FARLET_TRY(Mount(mount.type, mount.destination, mount.type,
                   options.flags & ~static_cast<unsigned long>(MS_REC), options.data));
  if (options.propagation != 0 &&
      ::mount("", mount.destination.c_str(), "", options.propagation, "") != 0) {
    return ErrnoError(errno, "set the propagation of " + mount.destination);
  }
  return {};
}

Status BindOver(const char* source, const std::string& destination) {
  if (::mount(source, destination.c_str(), "", MS_BIND, "") != 0) {
    return ErrnoError(errno, "mask " + destination);
  }
  return {};
}

Status Mask(const std::string& path) {
  struct stat info {};

  if (::stat(path.c_str(), &info) != 0) {
    return {};
  }
  if (S_ISDIR(info.st_mode)) {
    return Mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k");
  }
  return BindOver("/dev/null", path);
}

Status MakeDevice(const DevicePlan& device) {
  const size_t slash = device.path.rfind('/');
  if (slash > 0) {
    FARLET_TRY(MakePath(device.path.substr(0, slash)));
  }
  if (::mknod(device.path.c_str(), device.mode, device.number) != 0) {
    if (errno == EEXIST) {
      return {};
    }
    return ErrnoError(errno, "create device " + device.path);
  }
  if ((device.uid != 0 || device.gid != 0) &&
      ::lchown(device.path.c_str(), device.uid, device.gid) != 0) {
    return ErrnoError(errno, "change the owner of device " + device.path);
  }
  return {};
}

}  // namespace

Result<std::vector<UniqueFd>> OpenSources(const ContainerPlan& plan) {
  std::vector<UniqueFd> sources(plan.mounts.size());
  for (size_t index = 0; index < plan.mounts.size(); ++index) {
    const MountPlan& mount = plan.mounts[index];
    if (!mount.type.empty()) {
      continue;
    }
    FARLET_ASSIGN(const UniqueFd origin, Annotate(OpenOrigin(mount), "mount " + mount.destination));
    const unsigned recursive =
        (mount.options.flags & MS_REC) != 0 ? static_cast<unsigned>(AT_RECURSIVE) : 0u;
    UniqueFd tree(::open_tree(
        origin.get(), "",
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(AT_EMPTY_PATH) | recursive));
    if (!tree.valid()) {
      return ErrnoError(errno, "mount " + mount.destination + ": copy the mount of its origin");
    }
    FARLET_TRY(SetAttributes(tree.get(), mount.options, mount.destination));
    sources[index] = std::move(tree);
  }
  return sources;
}

Status MountAll(const ContainerPlan& plan, const std::vector<UniqueFd>& sources) {
  for (size_t index = 0; index < plan.mounts.size(); ++index) {
    const MountPlan& mount = plan.mounts[index];
    FARLET_TRY(mount.type.empty() ? MountBind(mount, sources[index].get()) : MountNew(mount));
  }
  return {};
}

Status MakeDevices(const ContainerPlan& plan) {
  for (const DevicePlan& device : plan.devices) {
    FARLET_TRY(MakeDevice(device));
  }
  for (const auto& [target, link] : kLinks) {
    if (::symlink(target, link) != 0 && errno != EEXIST) {
      return ErrnoError(errno, std::string("create link ") + link);
    }
  }
  return {};
}

Status MakeReadOnly(const std::string& mount_point) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, mount_point.c_str(), 0, &attributes, sizeof attributes) != 0) {
    return ErrnoError(errno, "make " + mount_point + " read-only");
  }
  return {};
}

Status HidePaths(const ContainerPlan& plan) {
  for (const std::string& path : plan.readonly_paths) {
    if (::mount(path.c_str(), path.c_str(), "", MS_BIND | MS_REC, "") != 0) {
      if (errno == ENOENT || errno == ENOTDIR) {
        continue;
      }
      return ErrnoError(errno, "make " + path + " read-only");
    }
    FARLET_TRY(MakeReadOnly(path));
  }
  for (const std::string& path : plan.masked_paths) {
    FARLET_TRY(Mask(path));
  }
  return {};
}

}  // namespace farlet::guest
