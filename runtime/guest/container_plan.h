#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/layout.h"
#include "runtime/guest/mount_options.h"
#include "runtime/guest/process_plan.h"

#include <string>
#include <utility>
#include <vector>

namespace farlet::guest {

namespace v1 {
class CreateContainerRequest;
class Device;
}  // namespace v1

struct LayerPlan {
  // "/dev/vdb", or empty.
  std::string device;
  // Below the share, when there is no device.
  std::string share_path;
};

struct MountPlan {
  std::string destination;
  // Empty for a bind mount.
  std::string type;
  MountOptions options;
  // Of a bind mount: a folder of the agent's and what is taken of it, "" for all.
  std::string root;
  std::string path;
  // A missing `path` is made as a folder.
  bool make_path = false;
};

struct DevicePlan {
  std::string path;
  mode_t mode = 0;
  dev_t number = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// What the first child of a container does before its exec, parsed before it is born.
struct ContainerPlan {
  Layout layout;
  // Topmost first.
  std::vector<LayerPlan> layers;
  bool readonly = false;
  std::string disk;
  // With MS_REC; what "/" of the container's mount namespace becomes.
  unsigned long propagation = 0;
  std::vector<MountPlan> mounts;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::vector<DevicePlan> devices;
  std::vector<std::pair<std::string, std::string>> sysctls;
  ProcessPlan process;
};

// Errors: kInvalidArgument. The request has been checked by CheckContainer; volumes and emptyDirs
// that it names are there.
Result<ContainerPlan> MakeContainerPlan(const v1::CreateContainerRequest& request,
                                        const Layout& layout);

}  // namespace farlet::guest
