#include "runtime/vm/bounded_log.h"

#include "runtime/base/file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;

class BoundedLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "farlet-log-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }

  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_;
};

TEST_F(BoundedLogTest, KeepsTheNewest) {
  BoundedLog log(folder_ / "log", 100, 20);
  for (int i = 0; i < 50; ++i) {
    log.Append("line " + std::to_string(100 + i) + "\n");
  }
  EXPECT_EQ(log.Tail().size(), 20u);
  EXPECT_TRUE(log.Tail().ends_with("line 149\n"));
  EXPECT_LE(fs::file_size(folder_ / "log"), 100u);
  EXPECT_LE(fs::file_size(folder_ / "log.1"), 100u);
  EXPECT_TRUE(ReadFile(folder_ / "log")->ends_with("line 149\n"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(BoundedLogTest, OneLongPieceIsCut) {
  BoundedLog log(folder_ / "log", 100, 20);
  log.Append(std::string(1000, 'x'));
  EXPECT_EQ(fs::file_size(folder_ / "log"), 100u);
  EXPECT_EQ(log.Tail(), std::string(20, 'x'));
}

TEST_F(BoundedLogTest, OnlyPrintable) {
  BoundedLog log(folder_ / "log", 100, 20);
  log.Append(std::string("a\x1b[2J\r\n\0\xc3", 9));
  EXPECT_EQ(log.Tail(), "a?[2J\n??");
}

TEST_F(BoundedLogTest, WithoutAFileTheTailStays) {
  BoundedLog log(folder_ / "missing" / "log", 100, 20);
  log.Append("text");
  EXPECT_EQ(log.Tail(), "text");
}

TEST(LastWordsTest, PanicOrTheLastLine) {
  EXPECT_EQ(LastWords(""), "");
  EXPECT_EQ(LastWords("\n \n"), "");
  EXPECT_EQ(LastWords("one\ntwo  \n\n"), "two");
  EXPECT_EQ(LastWords("[ 1.0] Kernel panic - not syncing: x\nCall Trace:\n"),
            "Kernel panic - not syncing: x");
  EXPECT_EQ(LastWords(std::string(1000, 'x')).size(), 200u);
  EXPECT_EQ(LastWords("Kernel panic" + std::string(1000, 'x')).size(), 200u);
}

}  // namespace
}  // namespace farlet::vm
