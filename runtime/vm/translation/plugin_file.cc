#include "runtime/vm/translation/plugin_file.h"

#include "runtime/base/embedded_file.h"
#include "runtime/base/file.h"

namespace farlet::vm {

// FARLET_TRANSLATION_PLUGIN is the built library's path.
FARLET_EMBED_FILE(TranslationPlugin, FARLET_TRANSLATION_PLUGIN);

Result<std::filesystem::path> PlaceTranslationPlugin(const std::filesystem::path& folder) {
  std::filesystem::path path = folder / "translation.so";
  const std::string_view plugin = TranslationPlugin();
  const auto there = ReadFile(path, plugin.size() + 1);
  if (!there || *there != plugin) {
    FARLET_TRY(MakeDirectories(folder, 0711));
    FARLET_TRY(WriteFileAtomic(path, plugin, 0644));
  }
  return path;
}

}  // namespace farlet::vm
