#include "runtime/vm/template_manifest.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

namespace farlet::vm {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

int64_t Nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

json ToJson(const TemplateManifest::File& file) {
  return {{"size", file.size},
          {"modifiedNs", file.modified_ns},
          {"changedNs", file.changed_ns},
          {"checksum", file.checksum}};
}

TemplateManifest::File FromJson(const json& file) {
  return {.size = file.at("size").get<uint64_t>(),
          .modified_ns = file.at("modifiedNs").get<int64_t>(),
          .changed_ns = file.at("changedNs").get<int64_t>(),
          .checksum = file.at("checksum").get<std::string>()};
}

// Four lanes of multiply and rotate, which a CPU does side by side.
class FastHash {
 public:
  void Update(const uint8_t* data, size_t size) {
    for (; size >= 32; data += 32, size -= 32) {
      for (size_t lane = 0; lane < lanes_.size(); ++lane) {
        Mix(lane, Word(data + 8 * lane, 8));
      }
    }
    for (; size > 0; data += std::min<size_t>(size, 8), size -= std::min<size_t>(size, 8)) {
      Mix(0, Word(data, std::min<size_t>(size, 8)));
    }
  }

  void Update(uint64_t number) { Mix(1, number); }

  std::string Hex() const {
    return fmt::format("{:016x}{:016x}{:016x}{:016x}", lanes_[0], lanes_[1], lanes_[2], lanes_[3]);
  }

 private:
  static uint64_t Word(const uint8_t* data, size_t size) {
    uint64_t word = 0;
    std::memcpy(&word, data, size);
    return word;
  }

  void Mix(size_t lane, uint64_t word) {
    lanes_[lane] = std::rotl((lanes_[lane] ^ word) * 0x9e3779b97f4a7c15, 29);
  }

  std::array<uint64_t, 4> lanes_ = {1, 2, 3, 4};
};

constexpr size_t kBlock = 4096;

bool IsZero(const uint8_t* data, size_t size) {
  return data[0] == 0 && std::memcmp(data, data + 1, size - 1) == 0;
}

// Only blocks that are not zero count: where a file has holes changes when somebody reads it.
Status HashExtent(int fd, off_t start, off_t end, FastHash& hash) {
  std::vector<uint8_t> buffer(64 * kBlock);
  start = start / static_cast<off_t>(kBlock) * static_cast<off_t>(kBlock);
  while (start < end) {
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(end - start));
    const ssize_t count = ::pread(fd, buffer.data(), wanted, start);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return ErrnoError(count < 0 ? errno : EIO, "read");
    }
    const auto size = static_cast<size_t>(count);
    for (size_t at = 0; at < size; at += kBlock) {
      const size_t length = std::min(kBlock, size - at);
      if (!IsZero(buffer.data() + at, length)) {
        hash.Update(static_cast<uint64_t>(start) + at);
        hash.Update(buffer.data() + at, length);
      }
    }
    start += count;
  }
  return {};
}

}  // namespace

std::string FormatManifest(const TemplateManifest& manifest) {
  json root{{"version", kVersion},
            {"key", manifest.key},
            {"memory", ToJson(manifest.memory)},
            {"state", ToJson(manifest.state)}};
  if (manifest.disk) {
    root["disk"] = ToJson(*manifest.disk);
  }
  return root.dump();
}

Result<TemplateManifest> ParseManifest(std::string_view text) {
  try {
    const json root = json::parse(text);
    if (root.at("version").get<int>() != kVersion) {
      return MakeError(Code::kDataLoss, "template manifest: of another version");
    }
    TemplateManifest manifest{.key = root.at("key").get<std::string>(),
                              .memory = FromJson(root.at("memory")),
                              .state = FromJson(root.at("state"))};
    if (root.contains("disk")) {
      manifest.disk = FromJson(root.at("disk"));
    }
    return manifest;
  } catch (const json::exception& exception) {
    return MakeError(Code::kDataLoss, fmt::format("template manifest: {}", exception.what()));
  }
}

Result<TemplateManifest::File> DescribeFile(int fd) {
  struct stat info {};

  if (::fstat(fd, &info) != 0) {
    return ErrnoError(errno, "stat");
  }
  return TemplateManifest::File{.size = static_cast<uint64_t>(info.st_size),
                                .modified_ns = Nanoseconds(info.st_mtim),
                                .changed_ns = Nanoseconds(info.st_ctim)};
}

Result<std::string> ChecksumOf(int fd) {
  FastHash hash;
  const off_t size = ::lseek(fd, 0, SEEK_END);
  off_t position = 0;
  while (position < size) {
    const off_t start = ::lseek(fd, position, SEEK_DATA);
    if (start < 0) {
      break;  // ENXIO: a hole up to the end
    }
    const off_t end = ::lseek(fd, start, SEEK_HOLE);
    if (end < 0) {
      return ErrnoError(errno, "seek");
    }
    FARLET_TRY(HashExtent(fd, start, end, hash));
    position = end;
  }
  hash.Update(static_cast<uint64_t>(size));
  return hash.Hex();
}

}  // namespace farlet::vm
