#include "runtime/guest/volumes.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/log.h"
#include "runtime/guest/remove_tree.h"
#include "runtime/guest/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <set>
#include <utility>

namespace farlet::guest {
namespace {

constexpr size_t kMaxVolumes = 256;

std::string FolderName(uint64_t number) {
  return ".." + std::to_string(number);
}

// Names in a folder but "." and "..".
std::set<std::string> List(const std::string& path) {
  std::set<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread, and this stream is ours.
  while (const dirent* entry = folder ? ::readdir(folder.get()) : nullptr) {
    const std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") {
      names.insert(name);
    }
  }
  return names;
}

// Opens the folder that holds the last part of `path`, making folders on the way; symlinks are not
// followed, whoever put them there.
Result<UniqueFd> OpenParent(const std::string& root, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  FARLET_ASSIGN(UniqueFd folder, Open(root, kFlags));
  size_t begin = 0;
  for (size_t end = path.find('/'); end != std::string::npos; end = path.find('/', begin)) {
    const std::string part = path.substr(begin, end - begin);
    if (::mkdirat(folder.get(), part.c_str(), 0755) != 0 && errno != EEXIST) {
      return ErrnoError(errno, "create folder " + path);
    }
    UniqueFd next(::openat(folder.get(), part.c_str(), kFlags));
    if (!next.valid()) {
      return ErrnoError(errno, "open folder of " + path);
    }
    folder = std::move(next);
    begin = end + 1;
  }
  return folder;
}

Status SetOwner(int fd, const v1::VolumeFile& file) {
  if (::fchown(fd, file.uid(), file.gid()) != 0 || ::fchmod(fd, file.mode()) != 0) {
    return ErrnoError(errno, "set owner and mode of " + file.path());
  }
  return {};
}

Status WriteData(int folder, const char* name, const v1::VolumeFile& file) {
  const int flags =
      O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (file.append() ? O_APPEND : O_TRUNC);
  const UniqueFd fd(::openat(folder, name, flags, 0600));
  if (!fd.valid()) {
    return ErrnoError(errno, "create " + file.path());
  }
  std::string_view rest = file.data();
  while (!rest.empty()) {
    const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
    if (count < 0 && errno != EINTR) {
      return ErrnoError(errno, "write " + file.path());
    }
    rest.remove_prefix(count > 0 ? static_cast<size_t>(count) : 0);
  }
  return SetOwner(fd.get(), file);
}

Status Symlink(const std::string& target, const std::string& link) {
  if (::symlink(target.c_str(), link.c_str()) != 0) {
    return ErrnoError(errno, "create link " + link);
  }
  return {};
}

}  // namespace

Status Volumes::Sync(const v1::SyncVolumeRequest& request) {
  const std::string& name = request.name();
  const std::string path = layout_.Volume(name);
  auto found = volumes_.find(name);
  if (found == volumes_.end()) {
    if (!request.first()) {
      return MakeError(Code::kFailedPrecondition, "volume " + name + ": no round has begun");
    }
    if (volumes_.size() == kMaxVolumes) {
      return MakeError(Code::kResourceExhausted, "volume " + name + ": too many volumes");
    }
    FARLET_TRY(MakePath(path));
    FARLET_TRY(Mount("tmpfs", path, "tmpfs", MS_NOATIME, "mode=0755"));
    found = volumes_.emplace(name, Volume{}).first;
  }
  Volume& volume = found->second;
  if (request.first()) {
    FARLET_TRY(Annotate(Begin(path, volume, request.generation()), "volume " + name));
  } else if (volume.staging == 0 || volume.generation != request.generation()) {
    return MakeError(Code::kFailedPrecondition,
                     "volume " + name + ": chunk of another round than the one under way");
  }
  for (const v1::VolumeFile& file : request.files()) {
    FARLET_TRY(Annotate(Write(path, volume, file), "volume " + name));
  }
  if (request.last()) {
    return Annotate(Commit(path, volume), "volume " + name);
  }
  return {};
}

void Volumes::Clear() {
  for (const auto& [name, volume] : std::exchange(volumes_, {})) {
    const std::string path = layout_.Volume(name);
    if (::umount2(path.c_str(), MNT_DETACH) != 0 || ::rmdir(path.c_str()) != 0) {
      log::Warning("a volume stays", {{"error", ErrnoError(errno, "remove volume " + name)}});
    }
  }
}

bool Volumes::Committed(const std::string& name) const {
  const auto found = volumes_.find(name);
  return found != volumes_.end() && found->second.current != 0;
}

Status Volumes::Begin(const std::string& path, Volume& volume, uint64_t generation) const {
  if (volume.staging != 0) {
    RemoveTree(path + "/" + FolderName(volume.staging));
    volume.staging = 0;
  }
  const uint64_t number = volume.next++;
  const std::string folder = path + "/" + FolderName(number);
  if (::mkdir(folder.c_str(), 0755) != 0) {
    return ErrnoError(errno, "create " + folder);
  }
  ::chmod(folder.c_str(), 0755);
  volume.staging = number;
  volume.generation = generation;
  return {};
}

Status Volumes::Write(const std::string& path,
                      const Volume& volume,
                      const v1::VolumeFile& file) const {
  const std::string root = path + "/" + FolderName(volume.staging);
  if (file.path().empty()) {
    FARLET_ASSIGN(const UniqueFd folder, Open(path, O_RDONLY | O_DIRECTORY));
    return SetOwner(folder.get(), file);
  }
  FARLET_ASSIGN(const UniqueFd parent, OpenParent(root, file.path()));
  const size_t slash = file.path().rfind('/');
  const std::string name = slash == std::string::npos ? file.path() : file.path().substr(slash + 1);
  switch (file.content_case()) {
    case v1::VolumeFile::kDirectory: {
      if (::mkdirat(parent.get(), name.c_str(), 0755) != 0 && errno != EEXIST) {
        return ErrnoError(errno, "create folder " + file.path());
      }
      const UniqueFd folder(
          ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      return folder.valid() ? SetOwner(folder.get(), file)
                            : Status(ErrnoError(errno, "open folder " + file.path()));
    }
    case v1::VolumeFile::kSymlink:
      if (::symlinkat(file.symlink().c_str(), parent.get(), name.c_str()) != 0) {
        return ErrnoError(errno, "create link " + file.path());
      }
      return {};
    case v1::VolumeFile::kData:
    case v1::VolumeFile::CONTENT_NOT_SET:
      break;
  }
  return WriteData(parent.get(), name.c_str(), file);
}

Status Volumes::Commit(const std::string& path, Volume& volume) const {
  const std::string folder = FolderName(volume.staging);
  const std::string data = path + "/..data";
  const std::string next = path + "/..data_tmp";
  ::unlink(next.c_str());
  FARLET_TRY(Symlink(folder, next));
  if (::rename(next.c_str(), data.c_str()) != 0) {
    return ErrnoError(errno, "exchange " + data);
  }
  const std::set<std::string> names = List(path + "/" + folder);
  for (const std::string& name : List(path)) {
    if (!name.starts_with("..") && !names.contains(name)) {
      ::unlink(std::string(path).append("/").append(name).c_str());
    }
  }
  for (const std::string& name : names) {
    const std::string link = std::string(path).append("/").append(name);
    const std::string target = std::string("..data/").append(name);
    if (::symlink(target.c_str(), link.c_str()) != 0 && errno != EEXIST) {
      return ErrnoError(errno, "create link " + link);
    }
  }
  if (volume.current != 0) {
    RemoveTree(path + "/" + FolderName(volume.current));
  }
  volume.current = std::exchange(volume.staging, 0);
  return {};
}

}  // namespace farlet::guest
