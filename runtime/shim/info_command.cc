#include "runtime/shim/info_command.h"

#include "proto/containerd/types/introspection.pb.h"

#ifndef FARLET_VERSION
#error "the build sets FARLET_VERSION"
#endif

namespace farlet::shim {

std::string VersionText() {
  return "containerd-shim-farlet-v2:\n  Version: " FARLET_VERSION "\n";
}

Result<std::string> RunInfo() {
  ::containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.farlet.v2");
  info.mutable_version()->set_version(FARLET_VERSION);
  return info.SerializeAsString();
}

}  // namespace farlet::shim
