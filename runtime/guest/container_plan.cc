#include "runtime/guest/container_plan.h"

#include "proto/guest/v1/guest.pb.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>

// Macros of <sys/sysmacros.h> that fields of messages are called, too.
#undef major
#undef minor

namespace farlet::guest {
namespace {

Status SetOrigin(const v1::Mount& mount, const Layout& layout, MountPlan& plan) {
  switch (mount.origin_case()) {
    case v1::Mount::kSharePath:
      plan.root = layout.Share();
      plan.path = mount.share_path();
      return {};
    case v1::Mount::kVolume:
      plan.root = layout.Volume(mount.volume());
      plan.path = mount.sub_path();
      return {};
    case v1::Mount::kEmptyDir:
      plan.root = mount.empty_dir().memory() ? layout.MemoryDir(mount.empty_dir().name())
                                             : layout.DiskDir(mount.empty_dir().name());
      plan.path = mount.sub_path();
      plan.make_path = true;
      return {};
    case v1::Mount::kShm:
      plan.root = layout.Shm();
      return {};
    case v1::Mount::ORIGIN_NOT_SET:
      break;
  }
  plan.type = mount.type();
  for (const char* known : {"proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup", "cgroup2"}) {
    if (plan.type == known) {
      return {};
    }
  }
  return InvalidArgument("mount " + mount.destination() + ": type \"" + mount.type() +
                         "\" without an origin");
}

Result<MountPlan> MakeMount(const v1::Mount& mount, const Layout& layout) {
  MountPlan plan;
  plan.destination = mount.destination();
  FARLET_TRY(SetOrigin(mount, layout, plan));
  FARLET_ASSIGN(plan.options, Annotate(ParseMountOptions(mount.options(), plan.type.empty()),
                                       "mount " + mount.destination()));
  if (plan.type == "cgroup" || plan.type == "cgroup2") {
    // Options of v1 mean nothing here.
    plan.type = "cgroup2";
    plan.options.data.clear();
  }
  return plan;
}

Result<DevicePlan> MakeDevice(const v1::Device& device) {
  DevicePlan plan{.path = device.path(), .uid = device.uid(), .gid = device.gid()};
  plan.mode = (device.file_mode() == 0 ? 0666 : device.file_mode()) & 07777;
  if (device.type() == "c" || device.type() == "u") {
    plan.mode |= S_IFCHR;
  } else if (device.type() == "b") {
    plan.mode |= S_IFBLK;
  } else if (device.type() == "p") {
    plan.mode |= S_IFIFO;
  } else {
    return InvalidArgument("device " + device.path() + ": unknown type \"" +
                           device.type().substr(0, 16) + "\"");
  }
  plan.number =
      ::makedev(static_cast<unsigned>(device.major()), static_cast<unsigned>(device.minor()));
  return plan;
}

// Of a runtime by the OCI specification ("Default Devices").
std::vector<DevicePlan> DefaultDevices() {
  std::vector<DevicePlan> devices;
  const auto add = [&devices](const char* path, unsigned major, unsigned minor) {
    devices.push_back({.path = path, .mode = S_IFCHR | 0666, .number = ::makedev(major, minor)});
  };
  add("/dev/null", 1, 3);
  add("/dev/zero", 1, 5);
  add("/dev/full", 1, 7);
  add("/dev/random", 1, 8);
  add("/dev/urandom", 1, 9);
  add("/dev/tty", 5, 0);
  return devices;
}

}  // namespace

Result<ContainerPlan> MakeContainerPlan(const v1::CreateContainerRequest& request,
                                        const Layout& layout) {
  ContainerPlan plan;
  plan.layout = layout;
  for (const v1::Layer& layer : request.rootfs().layers()) {
    plan.layers.push_back(
        {layer.has_image_device() ? "/dev/" + layer.image_device() : "", layer.share_path()});
  }
  plan.readonly = request.rootfs().readonly();
  plan.disk = layout.ContainerDisk(request.id());
  const std::string& propagation = request.rootfs_propagation();
  plan.propagation = propagation.empty() ? MS_SLAVE | MS_REC : PropagationFlags(propagation);
  if (plan.propagation == 0) {
    return InvalidArgument("unknown propagation \"" + propagation.substr(0, 64) + "\"");
  }
  for (const v1::Mount& mount : request.mounts()) {
    FARLET_ASSIGN(auto made, MakeMount(mount, layout));
    plan.mounts.push_back(std::move(made));
  }
  plan.masked_paths.assign(request.masked_paths().begin(), request.masked_paths().end());
  plan.readonly_paths.assign(request.readonly_paths().begin(), request.readonly_paths().end());
  plan.devices = DefaultDevices();
  for (const v1::Device& device : request.devices()) {
    FARLET_ASSIGN(auto made, MakeDevice(device));
    plan.devices.push_back(std::move(made));
  }
  plan.sysctls.assign(request.sysctls().begin(), request.sysctls().end());
  std::shared_ptr<const SeccompFilter> seccomp;
  if (request.has_seccomp()) {
    FARLET_ASSIGN(auto filter, CompileSeccomp(request.seccomp()));
    seccomp = std::make_shared<const SeccompFilter>(std::move(filter));
  }
  FARLET_ASSIGN(plan.process, MakeProcessPlan(request.process(), std::move(seccomp)));
  return plan;
}

}  // namespace farlet::guest
