#pragma once

#include "runtime/base/result.h"

#include <filesystem>
#include <string_view>

namespace farlet::vm {

// The plugin for QEMU (plugin.cc), a shared object, as it lies in this program.
std::string_view TranslationPlugin();

// Where QEMU finds it in its own world.
inline constexpr const char* kTranslationPluginPath = "/vm/translation.so";

// Writes it into `folder`, unless it is there; its path. Safe when several do it at once.
Result<std::filesystem::path> PlaceTranslationPlugin(const std::filesystem::path& folder);

}  // namespace farlet::vm
