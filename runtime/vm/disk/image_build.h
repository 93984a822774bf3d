#pragma once

#include "runtime/base/result.h"
#include "runtime/vm/disk/image_cache.h"

#include <filesystem>
#include <string>
#include <vector>

namespace farlet::disk {

// Makes the image and its manifest. The caller has leased the image and holds KEY.building. Leaves
// nothing on an error.
Status BuildImage(const ImageCacheOptions& options,
                  const std::string& key,
                  const std::vector<std::filesystem::path>& lowerdirs);

// What unfinished builds of the key left; called by who builds or removes.
void RemoveUnfinished(const std::filesystem::path& folder, const std::string& key);

}  // namespace farlet::disk
