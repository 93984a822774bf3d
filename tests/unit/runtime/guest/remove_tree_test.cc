#include "runtime/guest/remove_tree.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace farlet::guest {
namespace {

namespace fs = std::filesystem;

TEST(RemoveTree, RemovesAllAndFollowsNoLinks) {
  std::string folder = testing::TempDir() + "tree-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const fs::path root = folder;
  fs::create_directories(root / "kept");
  std::ofstream(root / "kept/file") << "x";
  fs::create_directories(root / "tree/a/b/c");
  fs::create_directories(root / "tree/empty");
  fs::create_directory_symlink(root / "kept", root / "tree/a/link");
  for (int count = 0; count < 300; ++count) {
    std::ofstream(root / "tree/a/b" / std::to_string(count)) << "x";
  }
  RemoveTree((root / "tree").string());
  EXPECT_FALSE(fs::exists(root / "tree"));
  EXPECT_TRUE(fs::exists(root / "kept/file"));
  RemoveTree((root / "none").string());
  RemoveTree((root / "kept/file").string());
  EXPECT_FALSE(fs::exists(root / "kept/file"));
  fs::remove_all(root);
}

}  // namespace
}  // namespace farlet::guest
