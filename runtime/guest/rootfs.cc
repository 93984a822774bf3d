#include "runtime/guest/rootfs.h"

#include "runtime/guest/container_mounts.h"
#include "runtime/guest/prepare.h"
#include "runtime/guest/sys.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace farlet::guest {
namespace {

// Keeps what happens here from the agent and the other containers, in the direction the pod asked
// for.
Status SetPropagation(const ContainerPlan& plan) {
  const bool shared = (plan.propagation & MS_SHARED) != 0;
  const unsigned long flags = shared ? MS_SHARED | MS_REC : MS_SLAVE | MS_REC;
  if (::mount("", "/", "", flags, "") != 0) {
    return ErrnoError(errno, "set the propagation of /");
  }
  const std::string build = plan.layout.Build();
  if (::mount("", build.c_str(), "", MS_PRIVATE, "") != 0) {
    return ErrnoError(errno, "make " + build + " private");
  }
  return {};
}

// Mounts layer `name`, relative to the working folder.
Status MountLayer(const ContainerPlan& plan, const LayerPlan& layer, const std::string& name) {
  if (!layer.device.empty()) {
    FARLET_TRY(MakePath(name));
    ForgetCached(layer.device);
    return Annotate(Mount(layer.device, name, "erofs", MS_RDONLY), "layer " + layer.device);
  }
  FARLET_ASSIGN(const UniqueFd share, Open(plan.layout.Share(), O_PATH | O_DIRECTORY));
  FARLET_ASSIGN(const UniqueFd folder,
                Annotate(OpenBeneath(share.get(), layer.share_path, O_PATH | O_DIRECTORY),
                         "layer of the rootfs"));
  FARLET_TRY(MakePath(name));
  const UniqueFd tree(::open_tree(folder.get(), "",
                                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
                                      static_cast<unsigned>(AT_EMPTY_PATH) |
                                      static_cast<unsigned>(AT_RECURSIVE)));
  if (!tree.valid() ||
      ::move_mount(tree.get(), "", AT_FDCWD, name.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return ErrnoError(errno, "mount layer " + layer.share_path);
  }
  return {};
}

// Leaves the root in the folder "root" of the build mount, which becomes the working folder.
Status MountRoot(const ContainerPlan& plan) {
  const std::string build = plan.layout.Build();
  if (::chdir(build.c_str()) != 0) {
    return ErrnoError(errno, "change to " + build);
  }
  // A mount of this container's alone, so that nothing can be left in the agent's.
  FARLET_TRY(Mount("tmpfs", build, "tmpfs", 0, "mode=0700,size=1m"));
  if (::chdir(build.c_str()) != 0) {
    return ErrnoError(errno, "change to " + build);
  }
  std::string lower;
  for (size_t index = 0; index < plan.layers.size(); ++index) {
    const std::string name = "l" + std::to_string(index);
    FARLET_TRY(MountLayer(plan, plan.layers[index], name));
    lower += (index == 0 ? "" : ":") + name;
  }
  FARLET_TRY(MakePath("root"));
  // volatile: the layer lives no longer than the pod, so nobody needs it synced.
  return Mount("overlay", "root", "overlay", 0,
               "lowerdir=" + lower + ",upperdir=" + plan.disk + "/upper,workdir=" + plan.disk +
                   "/work,volatile");
}

// "/" becomes "root" of the working folder; the old one disappears from this namespace.
Status Pivot() {
  FARLET_ASSIGN(const UniqueFd old_root, Open("/", O_PATH | O_DIRECTORY));
  if (::chdir("root") != 0) {
    return ErrnoError(errno, "change to the new root");
  }
  // Both at the same place: the old root lies on top of the new one until it is unmounted.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) {
    return ErrnoError(errno, "pivot_root");
  }
  if (::fchdir(old_root.get()) != 0) {
    return ErrnoError(errno, "change to the old root");
  }
  // Unmounting must not reach the agent.
  if (::mount("", ".", "", MS_SLAVE | MS_REC, "") != 0 || ::umount2(".", MNT_DETACH) != 0) {
    return ErrnoError(errno, "detach the old root");
  }
  if (::chdir("/") != 0) {
    return ErrnoError(errno, "change to /");
  }
  return {};
}

}  // namespace

Status EnterRoot(const ContainerPlan& plan) {
  ::umask(0);
  FARLET_TRY(SetPropagation(plan));
  FARLET_TRY(MountRoot(plan));
  // While the agent's files are still in reach.
  FARLET_ASSIGN(const auto sources, OpenSources(plan));
  FARLET_TRY(Pivot());
  FARLET_TRY(MountAll(plan, sources));
  FARLET_TRY(MakeDevices(plan));
  if (::mount("", "/", "", plan.propagation, "") != 0) {
    return ErrnoError(errno, "set the propagation of the container's root");
  }
  FARLET_TRY(WriteSysctls(plan));
  FARLET_TRY(Annotate(MakePath(plan.process.cwd), "working folder"));
  FARLET_TRY(HidePaths(plan));
  if (plan.readonly) {
    return MakeReadOnly("/");
  }
  return {};
}

Status WriteSysctls(const ContainerPlan& plan) {
  for (const auto& [name, value] : plan.sysctls) {
    FARLET_TRY(SetSysctl(name, value));
  }
  return {};
}

}  // namespace farlet::guest
