#pragma once

#include "runtime/base/file.h"

#include <gtest/gtest.h>

#include <sys/types.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace farlet {

// A folder of a test's own, which is gone with the object.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "farlet-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }

  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  // A new file, in place of what was there; the folders above it are made too. Its path.
  std::filesystem::path Write(std::string_view name,
                              std::string_view content,
                              mode_t mode = 0600) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    EXPECT_TRUE(WriteFileAtomic(path_ / name, content, mode));
    return path_ / name;
  }

  void Append(std::string_view name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary | std::ios::app) << content;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace farlet
