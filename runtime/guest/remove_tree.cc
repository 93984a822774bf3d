#include "runtime/guest/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <vector>

namespace farlet::guest {
namespace {

constexpr size_t kMaxDepth = 4096;

struct Closer {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

using Folder = std::unique_ptr<DIR, Closer>;

Folder OpenFolder(int parent, const char* name) {
  const int fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return nullptr;
  }
  Folder folder(::fdopendir(fd));
  if (folder == nullptr) {
    ::close(fd);
  }
  return folder;
}

struct Level {
  Folder folder;
  std::string name;
};

// The next entry of `folder` that is not removed at once: a folder with content. "" at the end.
std::string RemoveEntries(DIR* folder) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and this stream is ours.
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name == "." || name == "..") {
      continue;
    }
    const int fd = ::dirfd(folder);
    if (::unlinkat(fd, name.c_str(), 0) == 0 || ::unlinkat(fd, name.c_str(), AT_REMOVEDIR) == 0) {
      continue;
    }
    return name;
  }
  return {};
}

}  // namespace

void RemoveTree(const std::string& path) {
  if (::unlink(path.c_str()) == 0) {
    return;
  }
  std::vector<Level> levels;
  if (Folder top = OpenFolder(AT_FDCWD, path.c_str())) {
    levels.push_back({std::move(top), {}});
  }
  while (!levels.empty()) {
    const std::string child = RemoveEntries(levels.back().folder.get());
    const int fd = ::dirfd(levels.back().folder.get());
    if (!child.empty()) {
      Folder next = levels.size() < kMaxDepth ? OpenFolder(fd, child.c_str()) : nullptr;
      if (next != nullptr) {
        levels.push_back({std::move(next), child});
      }
      continue;
    }
    const std::string name = levels.back().name;
    levels.pop_back();
    if (!levels.empty()) {
      ::unlinkat(::dirfd(levels.back().folder.get()), name.c_str(), AT_REMOVEDIR);
    }
  }
  ::rmdir(path.c_str());
}

}  // namespace farlet::guest
