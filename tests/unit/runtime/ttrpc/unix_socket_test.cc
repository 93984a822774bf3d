#include "runtime/ttrpc/unix_socket.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace farlet::ttrpc {
namespace {

class UnixSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/farlet-ttrpc-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }

  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string dir_;
};

TEST_F(UnixSocketTest, HasItsMode) {
  for (const mode_t mode : {0600, 0666}) {
    const std::string path = dir_ + "/" + std::to_string(mode);
    const auto listening = ListenUnix(path, mode);
    ASSERT_TRUE(listening) << listening.error().message;

    struct stat info {};

    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_TRUE(S_ISSOCK(info.st_mode));
    EXPECT_EQ(info.st_mode & 07777, mode);
    EXPECT_TRUE(ConnectUnix(path));
  }
}

TEST_F(UnixSocketTest, ReplacesNothing) {
  const std::string path = dir_ + "/s";
  const auto first = ListenUnix(path, 0600);
  ASSERT_TRUE(first);
  const auto second = ListenUnix(path, 0600);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_NE(second.error().message.find(path), std::string::npos);
  EXPECT_TRUE(ConnectUnix(path));
}

TEST_F(UnixSocketTest, SaysWhyNot) {
  const std::string path = dir_ + "/s";
  EXPECT_EQ(ConnectUnix(path).error().code, Code::kNotFound);
  { const auto gone = ListenUnix(path, 0600); }
  const auto refused = ConnectUnix(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_NE(refused.error().message.find(path), std::string::npos);
}

TEST_F(UnixSocketTest, LengthOfAPath) {
  const std::string longest = dir_ + "/" + std::string(107 - dir_.size() - 1, 'x');
  EXPECT_TRUE(ListenUnix(longest, 0600));
  for (const std::string& path : {longest + "x", std::string(), std::string("a\0b", 3)}) {
    EXPECT_EQ(ListenUnix(path, 0600).error().code, Code::kInvalidArgument);
    EXPECT_EQ(ConnectUnix(path).error().code, Code::kInvalidArgument);
  }
}

TEST_F(UnixSocketTest, AFullQueueIsRetryable) {
  const std::string path = dir_ + "/s";
  const auto listening = ListenUnix(path, 0600);
  ASSERT_TRUE(listening);
  ASSERT_EQ(::listen(listening->get(), 1), 0);
  std::vector<UniqueFd> open;
  for (int i = 0; i < 10; ++i) {
    auto fd = ConnectUnix(path);
    if (!fd) {
      EXPECT_EQ(fd.error().code, Code::kUnavailable);
      EXPECT_TRUE(fd.error().retryable);
      return;
    }
    open.push_back(std::move(*fd));
  }
  FAIL() << "no connection was refused";
}

}  // namespace
}  // namespace farlet::ttrpc
