#include "runtime/guest/mount_options.h"

#include <google/protobuf/repeated_ptr_field.h>

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace farlet::guest {
namespace {

struct Flag {
  std::string_view name;
  bool set;
  unsigned long flag;
  // For mount_setattr; 0 where it has none.
  uint64_t attribute;
};

constexpr std::array<Flag, 22> kFlags = {{
    {"ro", true, MS_RDONLY, MOUNT_ATTR_RDONLY},
    {"rw", false, MS_RDONLY, MOUNT_ATTR_RDONLY},
    {"nosuid", true, MS_NOSUID, MOUNT_ATTR_NOSUID},
    {"suid", false, MS_NOSUID, MOUNT_ATTR_NOSUID},
    {"nodev", true, MS_NODEV, MOUNT_ATTR_NODEV},
    {"dev", false, MS_NODEV, MOUNT_ATTR_NODEV},
    {"noexec", true, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    {"exec", false, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", true, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"symfollow", false, 0, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", true, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"diratime", false, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
    {"noatime", true, MS_NOATIME, MOUNT_ATTR_NOATIME},
    {"atime", false, MS_NOATIME, MOUNT_ATTR_NOATIME},
    {"strictatime", true, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", false, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"relatime", true, MS_RELATIME, 0},
    {"norelatime", false, MS_RELATIME, 0},
    {"sync", true, MS_SYNCHRONOUS, 0},
    {"async", false, MS_SYNCHRONOUS, 0},
    {"dirsync", true, MS_DIRSYNC, 0},
    {"bind", true, 0, 0},
}};

constexpr std::array<std::pair<std::string_view, unsigned long>, 8> kPropagations = {{
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"slave", MS_SLAVE},
    {"rslave", MS_SLAVE | MS_REC},
    {"shared", MS_SHARED},
    {"rshared", MS_SHARED | MS_REC},
    {"unbindable", MS_UNBINDABLE},
    {"runbindable", MS_UNBINDABLE | MS_REC},
}};

const Flag* FindFlag(std::string_view name) {
  for (const Flag& flag : kFlags) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

void ApplyAttribute(const Flag& flag, uint64_t& set, uint64_t& clear) {
  // The access time is one field of several bits, which must be cleared to be set.
  const bool time = (flag.attribute & MOUNT_ATTR__ATIME) != 0 || (flag.flag & MS_RELATIME) != 0;
  if (time) {
    clear |= MOUNT_ATTR__ATIME;
    set &= ~uint64_t{MOUNT_ATTR__ATIME};
  }
  if (flag.set) {
    set |= flag.attribute;
    clear &= time ? clear : ~flag.attribute;
  } else {
    set &= ~flag.attribute;
    clear |= flag.attribute;
  }
}

// True when the option was one of the generic ones.
bool ApplyGeneric(const std::string& text, MountOptions& options) {
  if (text.empty() || text == "defaults") {
    return true;
  }
  if (text == "rbind") {
    options.flags |= MS_REC;
    return true;
  }
  if (const unsigned long propagation = PropagationFlags(text); propagation != 0) {
    options.propagation = propagation & ~static_cast<unsigned long>(MS_REC);
    options.propagation_recursive = (propagation & MS_REC) != 0;
    return true;
  }
  if (const Flag* flag = FindFlag(text)) {
    options.flags = flag->set ? options.flags | flag->flag : options.flags & ~flag->flag;
    ApplyAttribute(*flag, options.attributes_set, options.attributes_clear);
    return true;
  }
  // "rro", "rnosuid", …
  if (text.front() == 'r') {
    if (const Flag* flag = FindFlag(std::string_view(text).substr(1));
        flag != nullptr && flag->attribute != 0) {
      ApplyAttribute(*flag, options.recursive_set, options.recursive_clear);
      return true;
    }
  }
  return false;
}

}  // namespace

unsigned long PropagationFlags(const std::string& text) {
  const auto* const found = std::find_if(kPropagations.begin(), kPropagations.end(),
                                         [&](const auto& entry) { return entry.first == text; });
  return found == kPropagations.end() ? 0 : found->second;
}

Result<MountOptions> ParseMountOptions(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                       bool bind) {
  MountOptions options;
  for (const std::string& text : texts) {
    if (ApplyGeneric(text, options)) {
      continue;
    }
    if (bind || text == "remount" || text == "tmpcopyup" || text.find(',') != std::string::npos) {
      return InvalidArgument("unknown mount option \"" + text.substr(0, 64) + "\"");
    }
    options.data += options.data.empty() ? text : "," + text;
  }
  return options;
}

}  // namespace farlet::guest
