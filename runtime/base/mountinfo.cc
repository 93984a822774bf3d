#include "runtime/base/mountinfo.h"

#include "runtime/base/file.h"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace farlet {
namespace {

constexpr size_t kMaxMountInfo = 64u << 20;

bool IsOctal(char letter) {
  return letter >= '0' && letter <= '7';
}

// Space, tab, newline and backslash are written as \ooo.
std::string Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 3 < text.size() && IsOctal(text[i + 1]) &&
                        IsOctal(text[i + 2]) && IsOctal(text[i + 3]);
    if (!escape) {
      plain += text[i];
      continue;
    }
    plain +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

std::vector<std::string_view> Fields(std::string_view line) {
  std::vector<std::string_view> fields;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return fields;
}

}  // namespace

// proc(5): id, parent, major:minor, root, mount point, options, optional fields, "-", type, …
std::vector<MountInfo> ParseMountInfo(std::string_view text) {
  constexpr size_t kRoot = 3;
  constexpr size_t kPoint = 4;
  std::vector<MountInfo> mounts;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> fields = Fields(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() <= kPoint || dash == fields.end() || dash + 1 == fields.end()) {
      continue;
    }
    mounts.push_back({.root = Unescape(fields[kRoot]),
                      .point = Unescape(fields[kPoint]),
                      .filesystem = std::string(*(dash + 1))});
  }
  return mounts;
}

Result<std::vector<MountInfo>> ReadMountInfo() {
  FARLET_ASSIGN(const std::string text, ReadFile("/proc/self/mountinfo", kMaxMountInfo));
  return ParseMountInfo(text);
}

Status UnmountBelow(const std::filesystem::path& path) {
  FARLET_ASSIGN(const std::vector<MountInfo> mounts, ReadMountInfo());
  std::error_code ignored;
  const std::filesystem::path parent = std::filesystem::canonical(path.parent_path(), ignored);
  const std::string base = (ignored ? path : parent / path.filename()).string();
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    const std::string point = mount->point.string();
    if (point != base && !point.starts_with(base + "/")) {
      continue;
    }
    // EINVAL: not a mount point any more.
    if (::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
        errno != ENOENT) {
      return ErrnoError(errno, "unmount " + point);
    }
  }
  return {};
}

}  // namespace farlet
