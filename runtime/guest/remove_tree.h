#pragma once

#include <string>

namespace farlet::guest {

// rm -rf, without following symlinks; what cannot be removed stays. Deep trees cost descriptors,
// not stack: at most 4096 levels.
void RemoveTree(const std::string& path);

}  // namespace farlet::guest
