#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace farlet::vm {

// What is known about a template's files.
struct TemplateManifest {
  struct File {
    uint64_t size = 0;
    int64_t modified_ns = 0;
    int64_t changed_ns = 0;
    std::string checksum;

    bool operator==(const File&) const = default;
  };

  std::string key;
  File memory;
  File state;
  std::optional<File> disk;

  bool operator==(const TemplateManifest&) const = default;
};

std::string FormatManifest(const TemplateManifest& manifest);
Result<TemplateManifest> ParseManifest(std::string_view text);

// Size and times; no checksum.
Result<TemplateManifest::File> DescribeFile(int fd);

// Of a sparse file: of what is not zero and where it is. Not cryptographic (the folder is root's
// alone), so that a guest's memory takes some ten milliseconds.
Result<std::string> ChecksumOf(int fd);

}  // namespace farlet::vm
