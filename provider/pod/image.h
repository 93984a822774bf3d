#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace farlet::pod {

// An image that is present on the node, as a container needs it.
struct ReadyImage {
  std::string ref;  // the image's id
  std::optional<int64_t> uid;
  std::string username;
};

}  // namespace farlet::pod
