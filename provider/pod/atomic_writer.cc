#include "provider/pod/atomic_writer.h"

#include "provider/pod/confined_fs.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/base/undo.h"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <memory>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::pod {
namespace {

constexpr char kData[] = "..data";
constexpr char kNewData[] = "..data_tmp";
constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxName = 255;
constexpr mode_t kFolderMode = 0755;
// What fsGroup adds: reading, and for folders searching and inheritance of the group.
constexpr mode_t kGroupFile = 0440;
constexpr mode_t kGroupFolder = 02550;

std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return parts;
}

Status CheckPath(const std::string& path) {
  if (path.empty()) {
    return InvalidArgument("invalid path: must not be empty: \"\"");
  }
  if (path.front() == '/') {
    return InvalidArgument("invalid path: must be relative path: " + path);
  }
  if (path.size() > kMaxPath) {
    return InvalidArgument(
        fmt::format("invalid path: must be less than or equal to {} characters", kMaxPath));
  }
  const std::vector<std::string> parts = SplitPath(path);
  for (const std::string& part : parts) {
    if (part == "..") {
      return InvalidArgument("invalid path: must not contain '..': " + path);
    }
    if (part.size() > kMaxName) {
      return InvalidArgument(fmt::format(
          "invalid path: filenames must be less than or equal to {} characters", kMaxName));
    }
  }
  if (parts.empty() || parts.front().starts_with("..")) {
    return InvalidArgument("invalid path: must not start with '..': " + path);
  }
  return {};
}

std::string JoinPath(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, "/"));
}

std::string TimestampName() {
  const std::time_t now = std::chrono::system_clock::to_time_t(RealClock().WallNow());
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::random_device random;
  return fmt::format("..{:04}_{:02}_{:02}_{:02}_{:02}_{:02}.{:010}", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, random());
}

Result<std::string> ReadLink(int dir, const char* name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(dir, name, target.data(), target.size());
  if (size < 0) {
    return ErrnoError(errno, fmt::format("read link {}", name));
  }
  return std::string(target.data(), static_cast<size_t>(size));
}

class Writer {
 public:
  Writer(std::filesystem::path folder, std::optional<gid_t> group)
      : folder_(std::move(folder)), group_(group) {}

  Status Write(const Payload& payload) {
    for (const auto& [path, file] : payload) {
      FARLET_TRY(CheckPath(path));
      payload_[JoinPath(SplitPath(path))] = &file;
    }
    FARLET_ASSIGN(dir_, OpenFolder(folder_));
    FARLET_TRY(FindOld());
    const bool changed = old_.empty() || !IsCurrent();
    if (changed) {
      FARLET_TRY(Publish());
    }
    FARLET_TRY(AddLinks());
    FARLET_TRY(DropLinks());
    return changed && !old_.empty() ? RemoveTree(folder_ / old_) : Status();
  }

 private:
  Status FindOld() {
    Result<std::string> old = ReadLink(dir_.get(), kData);
    if (old) {
      // Only what we write: a name in this folder.
      if (old->find('/') != std::string::npos || !old->starts_with("..")) {
        return Internal(fmt::format("{}/{}: points to {}", folder_.string(), kData, *old));
      }
      old_ = *std::move(old);
      return ListFiles(folder_ / old_, "");
    }
    return old.error().code == Code::kNotFound ? Status() : Status(std::move(old).error());
  }

  // Collects the files of the current version, relative to it.
  Status ListFiles(const std::filesystem::path& folder, const std::string& prefix) {
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(folder, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      const std::string name = prefix + entry->path().filename().string();
      if (entry->is_directory(error) && !entry->is_symlink(error)) {
        FARLET_TRY(ListFiles(entry->path(), name + "/"));
      } else {
        old_files_.insert(name);
      }
    }
    // A version that is missing is simply not current.
    return {};
  }

  bool IsCurrent() const {
    if (old_files_.size() != payload_.size()) {
      return false;
    }
    for (const auto& [path, file] : payload_) {
      if (!old_files_.contains(path)) {
        return false;
      }
      const Result<std::string> content = ReadTail(folder_ / old_ / path, file->content.size() + 1);
      if (!content || *content != file->content) {
        return false;
      }
    }
    return true;
  }

  Status Publish() {
    const std::string name = TimestampName();
    FARLET_TRY(MakeVersionFolder(dir_.get(), name));
    Undo remove([&] {
      const Status ignored = RemoveTree(folder_ / name);
      static_cast<void>(ignored);
    });
    FARLET_ASSIGN(const UniqueFd version, OpenFolder(folder_ / name));
    for (const auto& [path, file] : payload_) {
      FARLET_TRY(WriteOne(version.get(), path, *file));
    }
    if (group_) {
      FARLET_TRY(GiveToGroup(dir_.get(), folder_.string()));
    }
    ::unlinkat(dir_.get(), kNewData, 0);
    if (::symlinkat(name.c_str(), dir_.get(), kNewData) != 0) {
      return ErrnoError(errno, fmt::format("link {}/{}", folder_.string(), kNewData));
    }
    if (::renameat(dir_.get(), kNewData, dir_.get(), kData) != 0) {
      const int saved = errno;
      ::unlinkat(dir_.get(), kNewData, 0);
      return ErrnoError(saved, fmt::format("rename {}/{}", folder_.string(), kNewData));
    }
    remove.Dismiss();
    return {};
  }

  Status MakeVersionFolder(int parent, const std::string& name) const {
    if (::mkdirat(parent, name.c_str(), kFolderMode) != 0 && errno != EEXIST) {
      return ErrnoError(errno, fmt::format("create folder {} in {}", name, folder_.string()));
    }
    const UniqueFd fd(
        ::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid() || ::fchmod(fd.get(), kFolderMode) != 0) {
      return ErrnoError(errno, fmt::format("open folder {} in {}", name, folder_.string()));
    }
    return group_ ? GiveToGroup(fd.get(), name) : Status();
  }

  // A folder: group, then mode (changing the group drops set-group-id).
  Status GiveToGroup(int fd, const std::string& name) const {
    struct stat info {};

    if (::fstat(fd, &info) != 0 || ::fchown(fd, static_cast<uid_t>(-1), *group_) != 0 ||
        ::fchmod(fd, (info.st_mode & 07777U) | kGroupFolder) != 0) {
      return ErrnoError(errno, fmt::format("give {} to group {}", name, *group_));
    }
    return {};
  }

  Status WriteOne(int version, const std::string& path, const ProjectedFile& file) const {
    std::string folder;
    for (const std::string& part : SplitPath(path)) {
      const std::string next = folder.empty() ? part : folder + "/" + part;
      if (next == path) {
        break;
      }
      folder = next;
      FARLET_TRY(MakeVersionFolder(version, folder));
    }
    const UniqueFd fd(::openat(version, path.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd.valid()) {
      return ErrnoError(errno, fmt::format("create {}/{}", folder_.string(), path));
    }
    for (std::string_view rest = file.content; !rest.empty();) {
      const ssize_t count = ::write(fd.get(), rest.data(), rest.size());
      if (count < 0 && errno != EINTR) {
        return ErrnoError(errno, fmt::format("write {}/{}", folder_.string(), path));
      }
      rest.remove_prefix(count > 0 ? static_cast<size_t>(count) : 0);
    }
    return SetOwner(fd.get(), path, file);
  }

  Status SetOwner(int fd, const std::string& path, const ProjectedFile& file) const {
    const mode_t mode = file.mode | (group_ ? kGroupFile : 0U);
    const bool owned = file.owner || group_;
    if ((owned && ::fchown(fd, file.owner.value_or(static_cast<uid_t>(-1)),
                           group_.value_or(static_cast<gid_t>(-1))) != 0) ||
        ::fchmod(fd, mode) != 0) {
      return ErrnoError(errno, fmt::format("set owner and mode of {}/{}", folder_.string(), path));
    }
    return {};
  }

  Status AddLinks() const {
    for (const auto& [path, file] : payload_) {
      const std::string name = path.substr(0, path.find('/'));
      const std::string target = fmt::format("{}/{}", kData, name);
      if (::symlinkat(target.c_str(), dir_.get(), name.c_str()) == 0) {
        ::fchownat(dir_.get(), name.c_str(), file->owner.value_or(static_cast<uid_t>(-1)),
                   group_.value_or(static_cast<gid_t>(-1)), AT_SYMLINK_NOFOLLOW);
      } else if (errno != EEXIST) {
        return ErrnoError(errno, fmt::format("link {}/{}", folder_.string(), name));
      }
    }
    return {};
  }

  // Links of paths that the last version had and this one has not.
  Status DropLinks() const {
    std::set<std::string> wanted;
    for (const auto& [path, file] : payload_) {
      wanted.insert(path.substr(0, path.find('/')));
    }
    for (const std::string& path : old_files_) {
      const std::string name = path.substr(0, path.find('/'));
      if (!wanted.contains(name) && ::unlinkat(dir_.get(), name.c_str(), 0) != 0 &&
          errno != ENOENT) {
        return ErrnoError(errno, fmt::format("remove link {}/{}", folder_.string(), name));
      }
    }
    return {};
  }

  const std::filesystem::path folder_;
  const std::optional<gid_t> group_;
  std::map<std::string, const ProjectedFile*> payload_;  // by cleaned path
  UniqueFd dir_;
  std::string old_;
  std::set<std::string> old_files_;
};

}  // namespace

Status WriteAtomically(const std::filesystem::path& folder,
                       const Payload& payload,
                       std::optional<gid_t> group) {
  return Writer(folder, group).Write(payload);
}

}  // namespace farlet::pod
