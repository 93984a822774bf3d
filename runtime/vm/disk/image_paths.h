#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

// The files of the image cache.
namespace farlet::disk {

struct ImagePaths {
  ImagePaths(const std::filesystem::path& folder, const std::string& key)
      : image(folder / (key + ".erofs")),
        manifest(folder / (key + ".manifest")),
        lock(folder / (key + ".lock")),
        building(folder / (key + ".building")) {}

  std::filesystem::path image;
  std::filesystem::path manifest;
  std::filesystem::path lock;
  std::filesystem::path building;
};

// What a file under construction begins with.
inline std::string UnfinishedPrefix(const std::string& key) {
  return key + ".new-";
}

// The key that a file name of ours begins with; empty for other files.
inline std::string KeyIn(std::string_view file_name) {
  constexpr size_t key_size = 64;
  const std::string_view key = file_name.substr(0, file_name.find('.'));
  const bool hex =
      key.size() == key_size && key.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return hex ? std::string(key) : "";
}

}  // namespace farlet::disk
