#include "runtime/vm/disk/manifest.h"

#include "runtime/base/file.h"
#include "tests/unit/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fstream>

namespace farlet::disk {
namespace {

class ManifestTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteFileAtomic(file_, std::string(100'000, 'x'), 0600));
    ASSERT_TRUE(WriteManifest(file_, manifest_, 100'000));
  }

  Code Check() {
    const auto checked = CheckAgainstManifest(file_, manifest_);
    return checked ? Code{} : checked.error().code;
  }

  void Overwrite(size_t offset, char byte) {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
  }

  TempFolder folder_;
  std::filesystem::path file_ = folder_ / "file";
  std::filesystem::path manifest_ = folder_ / "manifest";
};

TEST_F(ManifestTest, KnowsTheFileAgain) {
  const auto checked = CheckAgainstManifest(file_, manifest_);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->bytes, 100'000U);
}

TEST_F(ManifestTest, AChangeThatChangesNothingIsAcceptedAndNoted) {
  const std::string before = *ReadFile(manifest_);
  ASSERT_EQ(::chmod(file_.c_str(), 0400), 0);
  EXPECT_EQ(Check(), Code{});
  EXPECT_NE(*ReadFile(manifest_), before);
}

TEST_F(ManifestTest, AfterABootTheChecksumDecides) {
  std::string content = *ReadFile(manifest_);
  content.replace(content.rfind(' ') + 1, std::string::npos, "another-boot\n");
  ASSERT_TRUE(WriteFileAtomic(manifest_, content, 0600));
  EXPECT_EQ(Check(), Code{});
  EXPECT_THAT(*ReadFile(manifest_), testing::Not(testing::HasSubstr("another-boot")));
}

TEST_F(ManifestTest, DamageShows) {
  Overwrite(50'000, 'y');
  EXPECT_EQ(Check(), Code::kDataLoss);
  Overwrite(50'000, 'x');
  EXPECT_EQ(Check(), Code{});
  std::filesystem::resize_file(file_, 99'999);
  EXPECT_EQ(Check(), Code::kDataLoss);
  std::filesystem::resize_file(file_, 200'000);
  EXPECT_EQ(Check(), Code::kDataLoss);
}

TEST_F(ManifestTest, ADamagedOrMissingManifestIsNotTrusted) {
  for (const char* content :
       {"", "\n", "farlet-disk-0 1 2 3 4 5 6 x\n", "farlet-disk-1 100000\n"}) {
    ASSERT_TRUE(WriteFileAtomic(manifest_, content, 0600));
    EXPECT_EQ(Check(), Code::kDataLoss) << content;
  }
  std::filesystem::remove(manifest_);
  EXPECT_EQ(Check(), Code::kNotFound);
  SetUp();
  std::filesystem::remove(file_);
  EXPECT_EQ(Check(), Code::kNotFound);
}

}  // namespace
}  // namespace farlet::disk
