#pragma once

#include "runtime/base/file.h"

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace farlet::kube {

// A folder that goes with its test.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "kube-auth-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }

  ~TempFolder() { std::filesystem::remove_all(path_); }

  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path Write(const std::string& name, std::string_view text, mode_t mode = 0600) {
    EXPECT_TRUE(WriteFileAtomic(path_ / name, text, mode));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace farlet::kube
