#include "provider/server/log_file.h"

#include "provider/server/log_line.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

namespace farlet::server {
namespace {

// Whether the first line of the file is as new as `time`.
bool BeginsAt(const LogFile& file, WallTime time) {
  std::array<char, kMaxLogHeader> head{};
  const ssize_t count = ::pread(file.fd.get(), head.data(), head.size(), 0);
  if (count <= 0) {
    return false;
  }
  LogLineHeader line;
  return ParseLogHeader({head.data(), static_cast<size_t>(count)}, line) ==
             HeaderState::kComplete &&
         line.time >= time;
}

std::vector<std::string> RotatedPaths(const std::filesystem::path& path) {
  std::vector<std::string> paths;
  std::error_code error;
  const std::string base = path.filename().string();
  for (std::filesystem::directory_iterator entry(path.parent_path(), error), end;
       !error && entry != end; entry.increment(error)) {
    if (IsRotatedName(entry->path().filename().string(), base)) {
      paths.push_back(entry->path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

bool IsRotatedName(std::string_view name, std::string_view base) {
  if (name.size() != base.size() + 1 + kRotatedPattern.size() || !name.starts_with(base) ||
      name[base.size()] != '.') {
    return false;
  }
  name.remove_prefix(base.size() + 1);
  for (size_t i = 0; i < name.size(); ++i) {
    const bool is_digit = name[i] >= '0' && name[i] <= '9';
    if (kRotatedPattern[i] == 'd' ? !is_digit : name[i] != kRotatedPattern[i]) {
      return false;
    }
  }
  return true;
}

Result<LogFile> OpenLogFile(const std::string& path) {
  LogFile file;
  // O_NONBLOCK: a FIFO in its place must not hold up the thread.
  file.fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.fd.valid()) {
    return ErrnoError(errno, "open log file " + path);
  }

  struct stat info {};

  if (::fstat(file.fd.get(), &info) != 0) {
    return ErrnoError(errno, "stat log file " + path);
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument("open log file " + path + ": not a regular file");
  }
  file.device = info.st_dev;
  file.inode = info.st_ino;
  file.size = info.st_size;
  return file;
}

std::deque<LogFile> FindSuccessors(const std::string& path,
                                   const LogFile& current,
                                   WallTime last_time) {
  struct stat info {};

  if (::stat(path.c_str(), &info) != 0 ||
      (info.st_dev == current.device && info.st_ino == current.inode)) {
    return {};
  }
  auto newest = OpenLogFile(path);
  if (!newest || newest->Same(current)) {
    return {};
  }
  std::deque<LogFile> files;
  for (const std::string& rotated : RotatedPaths(path)) {
    auto file = OpenLogFile(rotated);
    if (file && !file->Same(current) && !file->Same(*newest) && BeginsAt(*file, last_time)) {
      files.push_back(std::move(*file));
    }
  }
  files.push_back(std::move(*newest));
  return files;
}

}  // namespace farlet::server
