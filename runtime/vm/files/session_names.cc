// What finds, makes, moves and removes entries of folders.
#include "runtime/vm/files/file_access.h"
#include "runtime/vm/files/session.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace farlet::files {
namespace {

constexpr uint32_t kModeBits = 07777;
constexpr uint32_t kRenameFlags = RENAME_NOREPLACE | RENAME_EXCHANGE;
// An entry may appear or vanish between two steps of an open with O_CREAT.
constexpr int kCreateTries = 4;

}  // namespace

int Session::Present(const Node& folder, const char* name, fuse_entry_out& answer) {
  UniqueFd entry;
  const int error = OpenEntry(folder.fd.get(), name, entry);
  return error != 0 ? error : PresentEntry(folder, name, std::move(entry), answer);
}

int Session::PresentEntry(const Node& folder,
                          const char* name,
                          UniqueFd entry,
                          fuse_entry_out& answer) {
  struct statx description {};

  uint64_t id = 0;
  int error = Describe(entry.get(), description);
  if (error == 0) {
    error = nodes_.Remember(std::move(entry), description, folder.id, name, id);
  }
  if (error != 0) {
    return error;
  }
  const fuse_attr_out attributes = AttributeAnswer(description);
  answer = {};
  answer.nodeid = id;
  answer.entry_valid = attributes.attr_valid;
  answer.entry_valid_nsec = attributes.attr_valid_nsec;
  answer.attr_valid = attributes.attr_valid;
  answer.attr_valid_nsec = attributes.attr_valid_nsec;
  answer.attr = attributes.attr;
  return 0;
}

int Session::PresentNew(const Node& folder, const char* name) {
  fuse_entry_out answer{};
  const int error = Present(folder, name, answer);
  if (error == 0) {
    reply_.Add(answer);
  }
  return error;
}

int Session::LookUp(Request& request) {
  const char* name = request.TakeName();
  if (name == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  const int error = nodes_.Find(request.node(), folder);
  return error != 0 ? error : PresentNew(*folder, name);
}

int Session::MakeNode(Request& request) {
  const auto wanted = request.Take<fuse_mknod_in>();
  const char* name = request.TakeName();
  if (!wanted || name == nullptr) {
    return EINVAL;
  }
  const uint32_t type = wanted->mode & static_cast<uint32_t>(S_IFMT);
  if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) {
    return EPERM;  // devices of the host are not the guest's to make
  }
  Node* folder = nullptr;
  if (const int error = FindWritable(request.node(), folder); error != 0) {
    return error;
  }
  {
    const ActAs caller(request.header().uid, request.header().gid);
    if (!caller.ok()) {
      return EINVAL;
    }
    if (::mknodat(folder->fd.get(), name, type | (wanted->mode & kModeBits), 0) != 0) {
      return errno;
    }
  }
  return PresentNew(*folder, name);
}

int Session::MakeFolder(Request& request) {
  const auto wanted = request.Take<fuse_mkdir_in>();
  const char* name = request.TakeName();
  if (!wanted || name == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  if (const int error = FindWritable(request.node(), folder); error != 0) {
    return error;
  }
  {
    const ActAs caller(request.header().uid, request.header().gid);
    if (!caller.ok()) {
      return EINVAL;
    }
    if (::mkdirat(folder->fd.get(), name, wanted->mode & kModeBits) != 0) {
      return errno;
    }
  }
  return PresentNew(*folder, name);
}

int Session::MakeSymlink(Request& request) {
  const char* name = request.TakeName();
  const char* target = request.TakeText();
  if (name == nullptr || target == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  if (const int error = FindWritable(request.node(), folder); error != 0) {
    return error;
  }
  {
    const ActAs caller(request.header().uid, request.header().gid);
    if (!caller.ok()) {
      return EINVAL;
    }
    if (::symlinkat(target, folder->fd.get(), name) != 0) {
      return errno;
    }
  }
  return PresentNew(*folder, name);
}

int Session::Link(Request& request) {
  const auto wanted = request.Take<fuse_link_in>();
  const char* name = request.TakeName();
  if (!wanted || name == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  Node* old = nullptr;
  int error = FindWritable(request.node(), folder);
  if (error == 0) {
    error = FindWritable(wanted->oldnodeid, old);
  }
  if (error != 0) {
    return error;
  }
  if (::linkat(roots_.proc_fds.get(), ProcName(old->fd.get()).text.data(), folder->fd.get(), name,
               AT_SYMLINK_FOLLOW) != 0) {
    return errno;
  }
  return PresentNew(*folder, name);
}

int Session::Remove(Request& request, int flags) {
  const char* name = request.TakeName();
  if (name == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  if (const int error = FindWritable(request.node(), folder); error != 0) {
    return error;
  }
  return ::unlinkat(folder->fd.get(), name, flags) == 0 ? 0 : errno;
}

void Session::NoteMoved(const Node& folder, const char* name) {
  UniqueFd entry;

  struct statx description {};

  if (OpenEntry(folder.fd.get(), name, entry) == 0 && Describe(entry.get(), description) == 0) {
    nodes_.Moved(KeyOf(description), folder.id, name);
  }
}

int Session::RenameTo(Request& request, uint64_t new_folder, uint32_t flags) {
  const char* name = request.TakeName();
  const char* new_name = request.TakeName();
  if (name == nullptr || new_name == nullptr || (flags & ~kRenameFlags) != 0) {
    return EINVAL;
  }
  Node* from = nullptr;
  Node* to = nullptr;
  int error = FindWritable(request.node(), from);
  if (error == 0) {
    error = FindWritable(new_folder, to);
  }
  if (error != 0) {
    return error;
  }
  if (::syscall(SYS_renameat2, from->fd.get(), name, to->fd.get(), new_name, flags) != 0) {
    return errno;
  }
  NoteMoved(*to, new_name);
  if ((flags & RENAME_EXCHANGE) != 0) {
    NoteMoved(*from, name);
  }
  return 0;
}

int Session::Rename(Request& request) {
  const auto wanted = request.Take<fuse_rename_in>();
  return wanted ? RenameTo(request, wanted->newdir, 0) : EINVAL;
}

int Session::Rename2(Request& request) {
  const auto wanted = request.Take<fuse_rename2_in>();
  return wanted ? RenameTo(request, wanted->newdir, wanted->flags) : EINVAL;
}

int Session::OpenOrMake(const fuse_in_header& caller,
                        const Node& folder,
                        const fuse_create_in& wanted,
                        const char* name,
                        UniqueFd& file) {
  const auto flags = static_cast<int>(wanted.flags & kOpenFlags);
  int error = 0;
  for (int i = 0; i < kCreateTries; ++i) {
    {
      const ActAs act_as(caller.uid, caller.gid);
      if (!act_as.ok()) {
        return EINVAL;
      }
      file = UniqueFd(::openat(folder.fd.get(), name,
                               flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                               wanted.mode & kModeBits));
    }
    error = file.valid() ? 0 : errno;
    if (error != EEXIST || (wanted.flags & O_EXCL) != 0) {
      return error;
    }
    UniqueFd entry;

    struct statx description {};

    error = OpenEntry(folder.fd.get(), name, entry);
    if (error == 0) {
      error = Describe(entry.get(), description);
    }
    if (error == 0) {
      error = Reopen(roots_.proc_fds.get(), entry.get(), description, flags, file);
    }
    if (error != ENOENT) {
      return error;
    }
  }
  return error;
}

int Session::Create(Request& request) {
  const auto wanted = request.Take<fuse_create_in>();
  const char* name = request.TakeName();
  if (!wanted || name == nullptr) {
    return EINVAL;
  }
  Node* folder = nullptr;
  int error = FindWritable(request.node(), folder);
  files::Handle handle{.append = (wanted->flags & O_APPEND) != 0};
  if (error == 0) {
    error = OpenOrMake(request.header(), *folder, *wanted, name, handle.fd);
  }
  // The node of what was opened, whatever bears the name by now.
  UniqueFd entry;
  if (error == 0) {
    entry = UniqueFd(
        ::openat(roots_.proc_fds.get(), ProcName(handle.fd.get()).text.data(), O_PATH | O_CLOEXEC));
    error = entry.valid() ? 0 : errno;
  }
  fuse_entry_out answer{};
  fuse_open_out opened{};
  if (error == 0) {
    error = PresentEntry(*folder, name, std::move(entry), answer);
  }
  if (error == 0) {
    error = handles_.Add(std::move(handle), opened.fh);
    if (error != 0) {
      nodes_.Forget(answer.nodeid, 1);
    }
  }
  if (error == 0) {
    reply_.Add(answer);
    reply_.Add(opened);
  }
  return error;
}

}  // namespace farlet::files
