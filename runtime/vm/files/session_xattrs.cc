// Extended attributes: the user's own can be changed, file capabilities be seen. All others belong
// to the host.
#include "runtime/vm/files/file_access.h"
#include "runtime/vm/files/session.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

namespace farlet::files {
namespace {

constexpr uint32_t kSetFlags = XATTR_CREATE | XATTR_REPLACE;

bool IsWritable(std::string_view name) {
  return name.starts_with("user.") && name.size() <= XATTR_NAME_MAX;
}

bool IsVisible(std::string_view name) {
  return IsWritable(name) || name == "security.capability";
}

}  // namespace

int Session::OpenForXattrs(uint64_t id, bool change, UniqueFd& file) {
  Node* node = nullptr;

  struct statx description {};

  int error = change ? FindWritable(id, node) : nodes_.Find(id, node);
  if (error == 0) {
    error = Describe(node->fd.get(), description);
  }
  if (error == 0) {
    error = Reopen(roots_.proc_fds.get(), node->fd.get(), description, O_RDONLY, file);
  }
  // Neither symlinks nor special files have attributes of those kinds.
  return error == ELOOP ? EOPNOTSUPP : error;
}

int Session::SetXattr(Request& request) {
  // As it is without FUSE_SETXATTR_EXT.
  struct {
    uint32_t size, flags;
  } wanted{};

  static_assert(sizeof(wanted) == FUSE_COMPAT_SETXATTR_IN_SIZE);
  const auto taken = request.Take<decltype(wanted)>();
  const char* name = request.TakeText();
  if (!taken || name == nullptr || taken->size > XATTR_SIZE_MAX ||
      request.rest().size() < taken->size || (taken->flags & ~kSetFlags) != 0) {
    return EINVAL;
  }
  if (!IsWritable(name)) {
    return EOPNOTSUPP;
  }
  UniqueFd file;
  const int error = OpenForXattrs(request.node(), true, file);
  if (error != 0) {
    return error;
  }
  return ::fsetxattr(file.get(), name, request.rest().data(), taken->size,
                     static_cast<int>(taken->flags)) == 0
             ? 0
             : errno;
}

int Session::GetXattr(Request& request) {
  const auto wanted = request.Take<fuse_getxattr_in>();
  const char* name = request.TakeText();
  if (!wanted || name == nullptr) {
    return EINVAL;
  }
  if (!IsVisible(name)) {
    return EOPNOTSUPP;
  }
  UniqueFd file;
  if (const int error = OpenForXattrs(request.node(), false, file); error != 0) {
    return error == EOPNOTSUPP ? ENODATA : error;
  }
  const std::span<std::byte> room = reply_.Room(std::min<size_t>(wanted->size, XATTR_SIZE_MAX));
  const ssize_t size = ::fgetxattr(file.get(), name, room.data(), room.size());
  if (size < 0) {
    return errno;
  }
  if (wanted->size == 0) {
    reply_.Add(fuse_getxattr_out{.size = static_cast<uint32_t>(size)});
  } else {
    reply_.Grow(static_cast<size_t>(size));
  }
  return 0;
}

int Session::ListXattrs(Request& request) {
  const auto wanted = request.Take<fuse_getxattr_in>();
  if (!wanted) {
    return EINVAL;
  }
  UniqueFd file;
  if (const int error = OpenForXattrs(request.node(), false, file);
      error != 0 && error != EOPNOTSUPP) {
    return error;
  }
  std::vector<char> all(file.valid() ? XATTR_LIST_MAX : 0);
  const ssize_t count = file.valid() ? ::flistxattr(file.get(), all.data(), all.size()) : 0;
  if (count < 0) {
    return errno;
  }
  std::vector<char> visible;
  for (size_t begin = 0; begin < static_cast<size_t>(count);) {
    const std::string_view name(all.data() + begin);
    if (IsVisible(name)) {
      visible.insert(visible.end(), name.begin(), name.end());
      visible.push_back('\0');
    }
    begin += name.size() + 1;
  }
  if (wanted->size == 0) {
    reply_.Add(fuse_getxattr_out{.size = static_cast<uint32_t>(visible.size())});
    return 0;
  }
  if (visible.size() > wanted->size) {
    return ERANGE;
  }
  reply_.AddBytes(visible.data(), visible.size());
  return 0;
}

int Session::RemoveXattr(Request& request) {
  const char* name = request.TakeText();
  if (name == nullptr) {
    return EINVAL;
  }
  if (!IsWritable(name)) {
    return EOPNOTSUPP;
  }
  UniqueFd file;
  const int error = OpenForXattrs(request.node(), true, file);
  if (error != 0) {
    return error;
  }
  return ::fremovexattr(file.get(), name) == 0 ? 0 : errno;
}

}  // namespace farlet::files
