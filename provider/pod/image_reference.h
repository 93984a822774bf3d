#pragma once

#include "runtime/base/result.h"

#include <string>
#include <string_view>

namespace farlet::pod {

// An image's name in full: "busybox" is docker.io, library/busybox, latest.
struct ImageReference {
  std::string registry;
  std::string path;
  std::string tag;     // "latest" when there is neither tag nor digest
  std::string digest;  // "sha256:…" or ""

  std::string Format() const;
};

// Docker's grammar. Error kInvalidArgument: couldn't parse image name "X": …
Result<ImageReference> ParseImageReference(std::string_view image);

}  // namespace farlet::pod
