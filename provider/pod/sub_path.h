#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string>

namespace farlet::pod {

// Error kInvalidArgument with the kubelet's text for a subPath that is absolute or has "..".
Status CheckSubPath(const std::string& sub_path);

// Makes `sub_path` of the volume visible at `target` by a bind mount, so that a container that
// exchanges folders for links meanwhile gains nothing: the path is resolved once, beneath the
// volume, and the mount is made of what was found. What is missing is made as a folder with the
// volume's mode. An earlier mount at `target` is replaced. Needs root.
Status BindSubPath(const std::filesystem::path& volume,
                   const std::string& sub_path,
                   const std::filesystem::path& target);

}  // namespace farlet::pod
