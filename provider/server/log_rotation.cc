#include "provider/server/log_rotation.h"

#include "provider/server/gzip_file.h"
#include "provider/server/log_file.h"
#include "runtime/base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

namespace farlet::server {
namespace {

constexpr int kNiceness = 10;
constexpr std::string_view kCompressed = ".gz";
constexpr std::string_view kTemporary = ".tmp";

// Renames only when nothing has the new name.
Status RenameNew(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) != 0) {
    return ErrnoError(errno, fmt::format("rename {} to {}", from, to));
  }
  return {};
}

Status Remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "remove " + path);
  }
  return {};
}

bool TakeSuffix(std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) {
    return false;
  }
  name.resize(name.size() - suffix.size());
  return true;
}

// The files that rotations of `path` have left: whole ones, oldest first, and those that a crash
// has left.
struct Leftovers {
  std::vector<std::string> rotated;
  std::vector<std::string> unused;
};

Result<Leftovers> ListRotated(const std::filesystem::path& path) {
  Leftovers found;
  const std::string base = path.filename().string();
  std::error_code error;
  for (std::filesystem::directory_iterator entry(path.parent_path(), error), end;
       !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    const bool temporary = TakeSuffix(name, kTemporary);
    TakeSuffix(name, kCompressed);
    if (IsRotatedName(name, base)) {
      (temporary ? found.unused : found.rotated).push_back(entry->path().string());
    }
  }
  if (error) {
    return ErrnoError(error.value(), "list " + path.parent_path().string());
  }
  std::sort(found.rotated.begin(), found.rotated.end());
  // An original beside its archive: the archive is whole, the original was to be removed.
  const auto archived = [&](const std::string& file) {
    return std::binary_search(found.rotated.begin(), found.rotated.end(),
                              file + std::string(kCompressed));
  };
  for (const std::string& file : found.rotated) {
    if (archived(file)) {
      found.unused.push_back(file);
    }
  }
  std::erase_if(found.rotated, [&](const std::string& file) {
    return std::find(found.unused.begin(), found.unused.end(), file) != found.unused.end();
  });
  return found;
}

}  // namespace

// Shared with callbacks that come after the end.
struct LogRotation::Waiter {
  std::mutex mutex;  // guards stopping
  std::condition_variable changed;
  bool stopping = false;
};

LogRotation::LogRotation(LogRotationOptions options, LogRotationHooks hooks, const Clock& clock)
    : options_(options),
      hooks_(std::move(hooks)),
      clock_(clock),
      waiter_(std::make_shared<Waiter>()) {}

LogRotation::~LogRotation() {
  {
    const std::lock_guard lock(waiter_->mutex);
    waiter_->stopping = true;
  }
  waiter_->changed.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void LogRotation::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LogRotation::Run() {
  // Linux: of this thread only.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
  while (true) {
    {
      std::unique_lock lock(waiter_->mutex);
      if (waiter_->changed.wait_for(lock, options_.period, [this] { return waiter_->stopping; })) {
        return;
      }
    }
    RunOnce();
  }
}

bool LogRotation::stopping() {
  const std::lock_guard lock(waiter_->mutex);
  return waiter_->stopping;
}

template <class T>
Result<T> LogRotation::Await(std::chrono::milliseconds timeout,
                             const std::function<void(Callback<T>)>& start) {
  auto answer = std::make_shared<std::optional<Result<T>>>();  // guarded by waiter_->mutex
  start([answer, waiter = waiter_](Result<T> result) {
    {
      const std::lock_guard lock(waiter->mutex);
      *answer = std::move(result);
    }
    waiter->changed.notify_all();
  });
  std::unique_lock lock(waiter_->mutex);
  waiter_->changed.wait_for(lock, timeout,
                            [&] { return answer->has_value() || waiter_->stopping; });
  if (answer->has_value()) {
    return std::move(**answer);
  }
  return waiter_->stopping ? Cancelled("stopped")
                           : MakeError(Code::kDeadlineExceeded, "no answer in time");
}

void LogRotation::RunOnce() {
  const auto logs = Await<std::vector<RunningLog>>(options_.reopen_timeout, hooks_.running_logs);
  if (!logs) {
    log::Debug("log rotation skipped", {{"error", logs.error()}});
    return;
  }
  for (const RunningLog& running : *logs) {
    if (stopping()) {
      return;
    }
    const Status rotated = RotateIfLarge(running);
    if (!rotated) {
      log::Warning("log not rotated",
                   {{"container", running.container_id}, {"error", rotated.error()}});
    }
  }
}

Status LogRotation::RotateIfLarge(const RunningLog& log) {
  struct stat info {};

  if (::lstat(log.path.c_str(), &info) == 0) {
    return S_ISREG(info.st_mode) && info.st_size >= options_.max_bytes ? Rotate(log) : Status();
  }
  if (errno != ENOENT) {
    return ErrnoError(errno, "stat " + log.path);
  }
  // A rotation was interrupted between its two steps (or the container has just gone).
  return Reopen(log.container_id);
}

Status LogRotation::Rotate(const RunningLog& log) {
  FARLET_TRY(MakeRoom(log.path));
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.WallNow());
  const std::string rotated = fmt::format("{}.{:%Y%m%d-%H%M%S}", log.path,
                                          fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  FARLET_TRY(RenameNew(log.path, rotated));
  Status reopened = Reopen(log.container_id);
  if (reopened) {
    return reopened;
  }
  const Status reverted = RenameNew(rotated, log.path);
  // When there is a new log, the runtime has reopened it after all.
  return !reverted && reverted.error().code == Code::kAlreadyExists ? Status() : reopened;
}

// Leaves room for two more files, the one that is about to be rotated and the new one.
Status LogRotation::MakeRoom(const std::string& path) {
  FARLET_ASSIGN(Leftovers files, ListRotated(path));
  for (const std::string& file : files.unused) {
    FARLET_TRY(Remove(file));
  }
  const auto kept = static_cast<size_t>(std::max(0, options_.max_files - 2));
  const size_t excess = files.rotated.size() > kept ? files.rotated.size() - kept : 0;
  for (size_t i = 0; i < files.rotated.size(); ++i) {
    const std::string& file = files.rotated[i];
    if (i < excess) {
      FARLET_TRY(Remove(file));
    } else if (!file.ends_with(kCompressed)) {
      FARLET_TRY(GzipFile(file, [this] { return stopping(); }));
    }
  }
  return {};
}

Status LogRotation::Reopen(const std::string& container_id) {
  auto reopened = Await<void>(options_.reopen_timeout, [&](StatusCallback done) {
    hooks_.reopen(container_id, std::move(done));
  });
  return Annotate(std::move(reopened), "reopen container log");
}

}  // namespace farlet::server
