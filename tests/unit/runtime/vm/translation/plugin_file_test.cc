#include "runtime/vm/translation/plugin_file.h"

#include "runtime/base/file.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

namespace farlet::vm {
namespace {

TEST(PlaceTranslationPlugin, WritesWhatIsMissingOrDiffers) {
  const TempFolder folder;
  const auto path = PlaceTranslationPlugin(folder.path() / "run");
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_TRUE(
      TranslationPlugin().starts_with("\x7f"
                                      "ELF"));
  EXPECT_EQ(ReadFile(*path, 1u << 20).value_or(""), TranslationPlugin());
  const auto written = std::filesystem::last_write_time(*path);
  ASSERT_TRUE(PlaceTranslationPlugin(folder.path() / "run"));
  EXPECT_EQ(std::filesystem::last_write_time(*path), written);
  ASSERT_TRUE(WriteFileAtomic(*path, "of an older version", 0600));
  ASSERT_TRUE(PlaceTranslationPlugin(folder.path() / "run"));
  EXPECT_EQ(ReadFile(*path, 1u << 20).value_or(""), TranslationPlugin());
}

}  // namespace
}  // namespace farlet::vm
