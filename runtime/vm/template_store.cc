#include "runtime/vm/template_store.h"

#include "runtime/base/file.h"
#include "runtime/base/file_lock.h"
#include "runtime/base/log.h"
#include "runtime/base/undo.h"
#include "runtime/vm/template_manifest.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::string_view kBuilding = "building-";
constexpr const char* kDisk = "disk";
constexpr size_t kMaxManifestBytes = 64u << 10;

Error Corrupt(const fs::path& path, std::string_view why) {
  return MakeError(Code::kDataLoss, fmt::format("template {}: {}", path.string(), why));
}

Result<UniqueFd> OpenFile(const fs::path& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + path.string());
  }
  return fd;
}

// What a manifest says about a file that was just written or must not have changed since.
Result<TemplateManifest::File> Describe(int fd) {
  FARLET_ASSIGN(auto file, DescribeFile(fd));
  FARLET_ASSIGN(file.checksum, ChecksumOf(fd));
  return file;
}

Result<TemplateManifest> ReadManifest(const fs::path& folder) {
  const auto text = ReadFile(folder / "manifest.json", kMaxManifestBytes);
  if (!text && text.error().code == Code::kNotFound) {
    return NotFound(fmt::format("template {}: there is none", folder.string()));
  }
  if (!text) {
    return text.error();
  }
  return ParseManifest(*text);
}

bool HasChecksum(const UniqueFd& fd, const TemplateManifest::File& file) {
  const auto checksum = ChecksumOf(fd.get());
  return checksum && *checksum == file.checksum;
}

Status Touch(const fs::path& path) {
  FARLET_ASSIGN(const UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT));
  if (::futimens(fd.get(), nullptr) != 0) {
    return ErrnoError(errno, "touch " + path.string());
  }
  return {};
}

}  // namespace

TemplateStore::TemplateStore(fs::path folder) : TemplateStore(std::move(folder), Limits{}) {}

TemplateStore::TemplateStore(fs::path folder, Limits limits)
    : folder_(std::move(folder)), limits_(limits) {}

Result<Template> TemplateStore::Open(const std::string& key) const {
  const fs::path path = folder_ / key;
  FARLET_ASSIGN(const TemplateManifest manifest, ReadManifest(path));
  Template opened;
  FARLET_ASSIGN(opened.memory, OpenFile(path / "memory", O_RDONLY));
  FARLET_ASSIGN(opened.state, OpenFile(path / "state", O_RDONLY));
  FARLET_ASSIGN(const auto state, Describe(opened.state.get()));
  FARLET_ASSIGN(auto memory, DescribeFile(opened.memory.get()));
  memory.checksum = manifest.memory.checksum;
  TemplateManifest found{key, memory, state, std::nullopt};
  if (manifest.disk) {
    FARLET_ASSIGN(opened.disk, OpenFile(path / kDisk, O_RDONLY));
    FARLET_ASSIGN(found.disk, DescribeFile(opened.disk.get()));
    found.disk->checksum = manifest.disk->checksum;
  }
  if (manifest != found) {
    return Corrupt(path, "differs from its manifest");
  }
  if (::lseek(opened.state.get(), 0, SEEK_SET) != 0) {
    return ErrnoError(errno, "seek");
  }
  if (const Status touched = Touch(path / "used"); !touched) {
    log::Warning("a template's use is not noted", {{"error", touched.error()}});
  }
  return opened;
}

Result<Template> TemplateStore::OpenOrBuild(const std::string& key,
                                            uint64_t memory_bytes,
                                            steady_clock::time_point deadline,
                                            const Build& build) {
  if (auto opened = Open(key)) {
    return opened;
  }
  FARLET_ASSIGN(const UniqueFd lock, Lock(deadline));
  auto opened = Open(key);  // somebody else may have built it meanwhile
  if (opened) {
    return opened;
  }
  if (opened.error().code != Code::kNotFound) {
    log::Warning("a template is built again", {{"error", opened.error()}});
  }
  RemoveLocked(folder_ / key);
  FARLET_TRY(BuildLocked(key, memory_bytes, build));
  CollectGarbageLocked(key);
  return Open(key);
}

Status TemplateStore::Verify(const std::string& key, steady_clock::time_point deadline) {
  FARLET_ASSIGN(const UniqueFd lock, Lock(deadline));
  const auto opened = Open(key);
  Status status;
  if (!opened) {
    status = opened.error();
  } else {
    const auto manifest = ReadManifest(folder_ / key);
    if (!manifest || !HasChecksum(opened->memory, manifest->memory)) {
      status = Corrupt(folder_ / key, "the memory differs from its checksum");
    } else if (manifest->disk && !HasChecksum(opened->disk, *manifest->disk)) {
      status = Corrupt(folder_ / key, "the disk differs from its checksum");
    }
  }
  if (!status && status.error().code != Code::kNotFound) {
    log::Warning("a template is removed", {{"error", status.error()}});
    RemoveLocked(folder_ / key);
  }
  return status;
}

Result<UniqueFd> TemplateStore::Lock(steady_clock::time_point deadline) const {
  FARLET_TRY(MakeDirectories(folder_, 0700));
  return LockFileUntil(folder_ / "lock", LockKind::kExclusive, deadline);
}

Status TemplateStore::BuildLocked(const std::string& key,
                                  uint64_t memory_bytes,
                                  const Build& build) const {
  FARLET_TRY(CheckSpace());
  const fs::path path = folder_ / fmt::format("{}{}", kBuilding, ::getpid());
  RemoveLocked(path);
  FARLET_TRY(MakeDirectories(path, 0700));
  Undo remove([&] { RemoveLocked(path); });
  TemplateDraft draft;
  FARLET_ASSIGN(draft.memory, OpenFile(path / "memory", O_RDWR | O_CREAT | O_EXCL));
  FARLET_ASSIGN(draft.state, OpenFile(path / "state", O_RDWR | O_CREAT | O_EXCL));
  if (::ftruncate(draft.memory.get(), static_cast<off_t>(memory_bytes)) != 0) {
    return ErrnoError(errno, "make a memory file of " + std::to_string(memory_bytes) + " bytes");
  }
  draft.disk = path / kDisk;
  FARLET_TRY(build(draft));
  TemplateManifest manifest{.key = key};
  FARLET_ASSIGN(manifest.memory, Describe(draft.memory.get()));
  FARLET_ASSIGN(manifest.state, Describe(draft.state.get()));
  if (std::error_code none; fs::exists(draft.disk, none)) {
    FARLET_ASSIGN(const UniqueFd disk, OpenFile(draft.disk, O_RDONLY));
    FARLET_ASSIGN(manifest.disk, Describe(disk.get()));
  }
  if (manifest.memory.size != memory_bytes || manifest.state.size == 0) {
    return Internal("build a template: the machine was not saved whole");
  }
  FARLET_TRY(Touch(path / "used"));
  FARLET_TRY(WriteFileAtomic(path / "manifest.json", FormatManifest(manifest), 0600));
  std::error_code error;
  fs::rename(path, folder_ / key, error);
  if (error) {
    return ErrnoError(error.value(), "publish template " + (folder_ / key).string());
  }
  remove.Dismiss();
  return {};
}

Status TemplateStore::CheckSpace() const {
  struct statvfs info {};

  if (::statvfs(folder_.c_str(), &info) != 0) {
    return ErrnoError(errno, "statvfs " + folder_.string());
  }
  const uint64_t free_bytes = uint64_t{info.f_bavail} * info.f_frsize;
  // A file system without a limit (f_blocks 0) has room.
  if (info.f_blocks != 0 && free_bytes < limits_.min_free_bytes) {
    return MakeError(Code::kResourceExhausted,
                     fmt::format("template folder {}: only {} MiB are free", folder_.string(),
                                 free_bytes >> 20));
  }
  return {};
}

void TemplateStore::CollectGarbageLocked(const std::string& keep) const {
  const auto now = fs::file_time_type::clock::now();
  std::vector<std::pair<fs::file_time_type, fs::path>> others;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    if (!entry.is_directory(error) || name == keep) {
      continue;
    }
    auto used = fs::last_write_time(entry.path() / "used", error);
    if (error || name.starts_with(kBuilding)) {
      used = fs::file_time_type::min();  // the lock is ours, so nobody is at it
    }
    others.emplace_back(used, entry.path());
  }
  std::ranges::sort(others, std::greater{});
  for (size_t i = 0; i < others.size(); ++i) {
    if (i + 1 >= limits_.max_templates || others[i].first < now - limits_.max_idle) {
      RemoveLocked(others[i].second);
    }
  }
}

void TemplateStore::RemoveLocked(const fs::path& path) const {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    log::Warning("a template is not removed",
                 {{"path", path.string()}, {"error", error.message()}});
  }
}

}  // namespace farlet::vm
