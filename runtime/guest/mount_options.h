#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string>

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace farlet::guest {

// Mount options as OCI and mount(8) have them.
struct MountOptions {
  // MS_RDONLY, MS_NOSUID, … and MS_REC for "rbind".
  unsigned long flags = 0;
  // The same as attributes of mount_setattr(2), to set and to clear.
  uint64_t attributes_set = 0;
  uint64_t attributes_clear = 0;
  // Attributes for the mounts below as well ("rro", …).
  uint64_t recursive_set = 0;
  uint64_t recursive_clear = 0;
  // MS_PRIVATE, … or 0, and whether for all mounts below too.
  unsigned long propagation = 0;
  bool propagation_recursive = false;
  // What is for the file system itself, joined by commas.
  std::string data;
};

// `bind`: whether there is no file system that could take further options. Errors:
// kInvalidArgument naming the option.
Result<MountOptions> ParseMountOptions(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                       bool bind);

// "rslave" and so on; 0 for an unknown word. MS_REC is part of the answer.
unsigned long PropagationFlags(const std::string& text);

}  // namespace farlet::guest
