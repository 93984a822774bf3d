#include "runtime/vm/disk/checksum.h"

#include "runtime/base/fd.h"
#include "runtime/vm/disk/sparse_copy.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace farlet::disk {
namespace {

std::span<const std::byte> BytesOf(const std::string& text) {
  return std::as_bytes(std::span(text));
}

uint32_t Standard(const std::string& text) {
  return ~Crc32c(~0U, BytesOf(text));
}

TEST(ChecksumTest, PublishedVectors) {
  EXPECT_EQ(Standard("123456789"), 0xe3069283U);
  EXPECT_EQ(Standard(std::string(32, '\0')), 0x8a9136aaU);  // RFC 3720, B.4
  EXPECT_EQ(Standard(std::string(32, '\xff')), 0x62a8ab43U);
}

TEST(ChecksumTest, Continues) {
  const std::string text = "some text that is longer than a step";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Crc32c(Crc32c(7, BytesOf(text.substr(0, cut))), BytesOf(text.substr(cut))),
              Crc32c(7, BytesOf(text)));
  }
}

class FileChecksumTest : public testing::Test {
 protected:
  UniqueFd Make(const std::string& name) {
    return UniqueFd(::open((folder_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  }

  static uint32_t Of(const UniqueFd& file, uint64_t bytes) {
    const auto checksum = ChecksumOf(file.get(), bytes);
    EXPECT_TRUE(checksum);
    return checksum ? *checksum : 0;
  }

  static void Put(const UniqueFd& file, off_t offset, const std::string& text) {
    ASSERT_EQ(::pwrite(file.get(), text.data(), text.size(), offset),
              static_cast<ssize_t>(text.size()));
  }

  static constexpr uint64_t kSize = 10u << 20;

  TempFolder folder_;
};

TEST_F(FileChecksumTest, HolesAndStoredZerosAreTheSame) {
  const UniqueFd sparse = Make("sparse");
  const UniqueFd full = Make("full");
  ASSERT_EQ(::ftruncate(sparse.get(), kSize), 0);
  Put(full, 0, std::string(kSize, '\0'));
  for (const UniqueFd* file : {&sparse, &full}) {
    Put(*file, 5'000'000, "data");
  }
  EXPECT_EQ(Of(sparse, kSize), Of(full, kSize));
}

TEST_F(FileChecksumTest, EveryChangeWithinTheBytesShows) {
  const UniqueFd file = Make("file");
  ASSERT_EQ(::ftruncate(file.get(), kSize), 0);
  Put(file, 5'000'000, "data");
  const uint32_t before = Of(file, kSize);
  Put(file, 5'000'001, "A");
  EXPECT_NE(Of(file, kSize), before);
  Put(file, 5'000'001, "a");
  EXPECT_EQ(Of(file, kSize), before);
  Put(file, 9'000'000, "x");
  EXPECT_NE(Of(file, kSize), before);
  EXPECT_EQ(Of(file, 8'000'000), before);
  Put(file, 9'000'000, std::string(1, '\0'));
  Put(file, 5'000'000, std::string(4, '\0'));
  Put(file, 5'100'000, "data");  // the same elsewhere
  EXPECT_NE(Of(file, kSize), before);
}

TEST_F(FileChecksumTest, AFileThatIsTooShortIsNotAccepted) {
  const UniqueFd file = Make("file");
  Put(file, 0, "data");
  const auto checksum = ChecksumOf(file.get(), 8192);
  ASSERT_FALSE(checksum);
  EXPECT_EQ(checksum.error().code, Code::kDataLoss);
}

TEST_F(FileChecksumTest, SparseCopiesAreEqualAndSparse) {
  const UniqueFd file = Make("file");
  ASSERT_EQ(::ftruncate(file.get(), off_t{20} << 30), 0);
  Put(file, 0, "begin");
  Put(file, 5'000'000'000, std::string(1'000'000, 'x'));
  const UniqueFd copy = Make("copy");
  const Status copied = SparseCopy(file.get(), copy.get());
  ASSERT_TRUE(copied) << copied.error().message;

  struct stat info {};

  ASSERT_EQ(::fstat(copy.get(), &info), 0);
  EXPECT_EQ(info.st_size, off_t{20} << 30);
  EXPECT_LT(info.st_blocks * 512, 2'000'000);
  EXPECT_EQ(Of(copy, uint64_t{20} << 30), Of(file, uint64_t{20} << 30));
}

}  // namespace
}  // namespace farlet::disk
