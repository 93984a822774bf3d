#pragma once

#include <string>

namespace farlet::kube {

// What is not valid UTF-8 becomes U+FFFD, as Go's JSON encoder does.
std::string ValidUtf8(const std::string& text);

}  // namespace farlet::kube
