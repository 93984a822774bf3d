#pragma once

namespace farlet::app {

inline constexpr char kVersion[] = "0.1.0";
// What the node reports as its kubelet: the release whose contract it meets.
inline constexpr char kKubeletVersion[] = "v1.37.2-farlet.0.1.0";

}  // namespace farlet::app
