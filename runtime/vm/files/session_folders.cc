// Open folders.
#include "runtime/vm/files/file_access.h"
#include "runtime/vm/files/session.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace farlet::files {
namespace {

// With attributes an entry takes far more room in the answer than in the kernel's list, and what
// does not fit is listed again.
constexpr size_t kListBytes = 16384;
constexpr size_t kListBytesPlus = 2048;

// linux_dirent64 of getdents64(2).
struct KernelEntry {
  uint64_t inode;
  uint64_t next;
  uint16_t length;
  uint8_t type;
};

constexpr size_t kNameOffset = offsetof(KernelEntry, type) + 1;

constexpr std::array<char, 8> kZeros{};

size_t Padded(size_t size) {
  return (size + 7) & ~size_t{7};
}

}  // namespace

int Session::OpenFolder(Request& request) {
  if (!request.Take<fuse_open_in>()) {
    return EINVAL;
  }
  Node* node = nullptr;
  if (const int error = nodes_.Find(request.node(), node); error != 0) {
    return error;
  }
  files::Handle handle{.folder = true};
  handle.fd = UniqueFd(::openat(node->fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle.fd.valid()) {
    return errno;
  }
  fuse_open_out answer{};
  const int error = handles_.Add(std::move(handle), answer.fh);
  if (error == 0) {
    reply_.Add(answer);
  }
  return error;
}

bool Session::AddEntry(const Node& folder, const FolderEntry& entry, bool plus, size_t limit) {
  const std::string_view name(entry.name);
  const size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
  const size_t size = Padded(head + name.size());
  if (reply_.body_size() + size > limit) {
    return false;
  }
  if (plus) {
    // One without a node is only listed: the folder itself, its parent, and what has just gone.
    fuse_entry_out attributes{};
    if (name != "." && name != "..") {
      if (Present(folder, entry.name, attributes) != 0) {
        attributes = {};
      }
    }
    reply_.Add(attributes);
  }
  fuse_dirent listed{};
  listed.ino = InodeOf(folder.key.device, entry.inode);
  listed.off = entry.next;
  listed.namelen = static_cast<uint32_t>(name.size());
  listed.type = entry.type;
  reply_.AddBytes(&listed, FUSE_NAME_OFFSET);
  reply_.AddBytes(name.data(), name.size());
  reply_.AddBytes(kZeros.data(), size - head - name.size());
  return true;
}

int Session::ReadFolder(Request& request, bool plus) {
  const auto wanted = request.Take<fuse_read_in>();
  if (!wanted || wanted->size > kMaxWrite) {
    return EINVAL;
  }
  files::Handle* handle = handles_.Find(wanted->fh, true);
  if (handle == nullptr) {
    return EBADF;
  }
  Node* folder = nullptr;
  if (const int error = nodes_.Find(request.node(), folder); error != 0) {
    return error;
  }
  const auto offset = static_cast<off_t>(wanted->offset);
  if (handle->position != offset && ::lseek(handle->fd.get(), offset, SEEK_SET) < 0) {
    return errno;
  }
  handle->position = -1;
  alignas(8) std::array<std::byte, kListBytes> list{};
  const size_t list_size =
      std::min(plus ? kListBytesPlus : kListBytes, std::max<size_t>(wanted->size, 512));
  const long count = ::syscall(SYS_getdents64, handle->fd.get(), list.data(), list_size);
  if (count < 0) {
    return errno;
  }
  off_t last = offset;
  for (long begin = 0; begin < count;) {
    KernelEntry entry{};
    std::memcpy(&entry, list.data() + begin, kNameOffset);
    const FolderEntry listed{
        .inode = entry.inode,
        .next = entry.next,
        .type = entry.type,
        .name = reinterpret_cast<const char*>(list.data() + begin + kNameOffset)};
    if (!AddEntry(*folder, listed, plus, wanted->size)) {
      return 0;  // the rest is listed again, from a position that the guest names
    }
    begin += entry.length;
    last = static_cast<off_t>(entry.next);
  }
  handle->position = last;
  return 0;
}

}  // namespace farlet::files
