#include "runtime/shim/volume_reader.h"

#include "runtime/base/fd.h"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace farlet::shim {
namespace {

constexpr size_t kMaxBytes = 32u << 20;
constexpr size_t kMaxFiles = 8192;
constexpr int kMaxDepth = 16;
constexpr mode_t kPermissions = 07777;
constexpr char kData[] = "..data";

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

class Reader {
 public:
  explicit Reader(std::string name) : name_(std::move(name)) {}

  Status ReadFolder(int fd, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) {
      return MakeError(Code::kResourceExhausted, name_ + ": nested too deeply");
    }
    FARLET_ASSIGN(const std::vector<std::string> entries, List(fd));
    for (const std::string& entry : entries) {
      // The writer's own, and what its links at the top lead to.
      if (prefix.empty() && entry.starts_with("..")) {
        continue;
      }
      FARLET_TRY(ReadEntry(fd, entry, prefix + entry, depth));
    }
    return {};
  }

  Status AddFolder(int fd, const std::string& path) {
    struct stat info {};

    if (::fstat(fd, &info) != 0) {
      return ErrnoError(errno, "stat " + name_);
    }
    Add(path, info).set_directory(true);
    return {};
  }

  std::vector<guest::v1::VolumeFile> Take() { return std::move(files_); }

 private:
  Result<std::vector<std::string>> List(int fd) const {
    const int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, CloseFolder> folder(copy < 0 ? nullptr : ::fdopendir(copy));
    if (folder == nullptr) {
      return ErrnoError(errno, "list " + name_);
    }
    std::vector<std::string> names;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread.
    while (const dirent* const entry = ::readdir(folder.get())) {
      const std::string_view text = static_cast<const char*>(entry->d_name);
      if (text != "." && text != "..") {
        names.emplace_back(text);
      }
      if (names.size() > kMaxFiles) {
        return MakeError(Code::kResourceExhausted, name_ + ": too many files");
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status ReadEntry(int parent, const std::string& entry, const std::string& path, int depth) {
    struct stat info {};

    if (::fstatat(parent, entry.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, fmt::format("stat {} in {}", path, name_));
    }
    if (files_.size() >= kMaxFiles) {
      return MakeError(Code::kResourceExhausted, name_ + ": too many files");
    }
    if (S_ISLNK(info.st_mode)) {
      return ReadLink(parent, entry, path, info);
    }
    if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
      return {};  // nothing of the API
    }
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const UniqueFd fd(::openat(parent, entry.c_str(), flags));
    if (!fd.valid()) {
      return ErrnoError(errno, fmt::format("open {} in {}", path, name_));
    }
    if (S_ISREG(info.st_mode)) {
      return ReadContent(fd.get(), path, info);
    }
    Add(path, info).set_directory(true);
    return ReadFolder(fd.get(), path + "/", depth + 1);
  }

  Status ReadLink(int parent,
                  const std::string& entry,
                  const std::string& path,
                  const struct stat& info) {
    std::array<char, 4096> target{};
    const ssize_t length = ::readlinkat(parent, entry.c_str(), target.data(), target.size());
    if (length < 0) {
      return ErrnoError(errno, fmt::format("read link {} in {}", path, name_));
    }
    Add(path, info).set_symlink(std::string(target.data(), static_cast<size_t>(length)));
    return {};
  }

  Status ReadContent(int fd, const std::string& path, const struct stat& info) {
    std::string data;
    std::array<char, 65536> buffer{};
    for (;;) {
      const ssize_t count = ::read(fd, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        return ErrnoError(errno, fmt::format("read {} in {}", path, name_));
      }
      if (count == 0) {
        break;
      }
      bytes_ += static_cast<size_t>(count);
      if (bytes_ > kMaxBytes) {
        return MakeError(Code::kResourceExhausted,
                         fmt::format("{}: larger than {} bytes", name_, kMaxBytes));
      }
      data.append(buffer.data(), static_cast<size_t>(count));
    }
    Add(path, info).set_data(std::move(data));
    return {};
  }

  guest::v1::VolumeFile& Add(const std::string& path, const struct stat& info) {
    auto& file = files_.emplace_back();
    file.set_path(path);
    file.set_mode(info.st_mode & kPermissions);
    file.set_uid(info.st_uid);
    file.set_gid(info.st_gid);
    return file;
  }

  const std::string name_;
  size_t bytes_ = 0;
  std::vector<guest::v1::VolumeFile> files_;
};

// The folder that "..data" names now: a sibling, never a path.
Result<UniqueFd> OpenData(int volume, const std::string& name) {
  std::array<char, 256> target{};
  const ssize_t length = ::readlinkat(volume, kData, target.data(), target.size());
  if (length < 0 && (errno == ENOENT || errno == EINVAL)) {
    return UniqueFd(::openat(volume, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  const std::string_view text(target.data(), static_cast<size_t>(std::max<ssize_t>(length, 0)));
  if (text.empty() || text == ".." || text.find('/') != std::string_view::npos) {
    return InvalidArgument(fmt::format("{}: ..data leads elsewhere", name));
  }
  UniqueFd data(
      ::openat(volume, std::string(text).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!data.valid()) {
    return ErrnoError(errno, fmt::format("open ..data of {}", name));
  }
  return data;
}

}  // namespace

Result<std::vector<guest::v1::VolumeFile>> ReadVolume(const std::filesystem::path& folder) {
  const std::string name = "volume " + folder.string();
  const UniqueFd volume(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!volume.valid()) {
    return ErrnoError(errno, "open " + name);
  }
  FARLET_ASSIGN(const UniqueFd data, OpenData(volume.get(), name));
  Reader reader(name);
  FARLET_TRY(reader.AddFolder(volume.get(), ""));
  FARLET_TRY(reader.ReadFolder(data.get(), "", 0));
  return reader.Take();
}

std::vector<guest::v1::SyncVolumeRequest> CutIntoRequests(const std::string& name,
                                                          uint64_t generation,
                                                          std::vector<guest::v1::VolumeFile> files,
                                                          size_t max_bytes) {
  constexpr size_t kEntryCost = 64;  // of names and numbers, about
  std::vector<guest::v1::SyncVolumeRequest> requests(1);
  size_t used = 0;
  for (auto& file : files) {
    // Taken out, so that not every piece copies all of it first.
    const bool has_data = file.has_data();
    const std::string data = has_data ? std::move(*file.mutable_data()) : std::string();
    size_t sent = 0;
    do {
      if (used + kEntryCost >= max_bytes) {
        requests.emplace_back();
        used = 0;
      }
      auto& piece = *requests.back().add_files();
      piece = file;  // its data is empty by now
      if (has_data) {
        const size_t size = std::min(data.size() - sent, max_bytes - used - kEntryCost);
        piece.set_data(data.substr(sent, size));
        piece.set_append(sent > 0);
        sent += size;
        used += size;
      }
      used += kEntryCost + file.path().size();
    } while (sent < data.size());
  }
  for (auto& request : requests) {
    request.set_name(name);
    request.set_generation(generation);
  }
  requests.front().set_first(true);
  requests.back().set_last(true);
  return requests;
}

}  // namespace farlet::shim
