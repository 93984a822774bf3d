#include "runtime/base/descriptor_passing.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace farlet {
namespace {

class DescriptorPassing : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()), 0);
    ours_ = UniqueFd(pair[0]);
    theirs_ = UniqueFd(pair[1]);
  }

  ReceivedMessage Receive() { return ReceiveWithDescriptors(theirs_.get(), buffer_); }

  UniqueFd ours_;
  UniqueFd theirs_;
  std::array<char, 8> buffer_{};
};

int OpenDescriptors() {
  int open = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    open += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  }
  return open;
}

TEST_F(DescriptorPassing, BytesAndDescriptorsArrive) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  UniqueFd writer(pipe[1]);
  ASSERT_EQ(SendWithDescriptors(ours_.get(), "ab", pipe), 2);
  writer.Close();
  const ReceivedMessage message = Receive();
  EXPECT_EQ(std::string(buffer_.data(), 2), "ab");
  EXPECT_EQ(message.size, 2);
  EXPECT_FALSE(message.truncated);
  ASSERT_TRUE(message.descriptors[0].valid() && message.descriptors[1].valid());
  EXPECT_EQ(::fcntl(message.descriptors[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(::write(message.descriptors[1].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(DescriptorPassing, BytesMayComeAlone) {
  ASSERT_EQ(SendWithDescriptors(ours_.get(), "12345678", {}), 8);
  const ReceivedMessage message = Receive();
  EXPECT_EQ(message.size, 8);
  EXPECT_FALSE(message.truncated);
  EXPECT_FALSE(message.descriptors[0].valid());
}

TEST_F(DescriptorPassing, WhatDoesNotFitIsTold) {
  ASSERT_EQ(SendWithDescriptors(ours_.get(), "123456789", {}), 9);
  EXPECT_TRUE(Receive().truncated);
}

// By hand, as somebody else might send them.
TEST_F(DescriptorPassing, TooManyDescriptorsAreClosed) {
  constexpr size_t kMany = 40;
  const int open = OpenDescriptors();
  std::vector<int> many(kMany, theirs_.get());
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMany)> space{};
  iovec part{.iov_base = buffer_.data(), .iov_len = 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * kMany);
  std::copy_n(reinterpret_cast<const char*>(many.data()), sizeof(int) * kMany,
              reinterpret_cast<char*>(CMSG_DATA(header)));
  ASSERT_EQ(::sendmsg(ours_.get(), &message, MSG_NOSIGNAL), 1);
  {
    const ReceivedMessage received = Receive();
    EXPECT_TRUE(received.truncated);
    EXPECT_EQ(OpenDescriptors(), open + static_cast<int>(kMaxPassedDescriptors));
  }
  EXPECT_EQ(OpenDescriptors(), open);
  EXPECT_EQ(SendWithDescriptors(ours_.get(), "x", many), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST_F(DescriptorPassing, APeerThatIsGoneIsAnErrorAndNoSignal) {
  theirs_.Close();
  EXPECT_EQ(SendWithDescriptors(ours_.get(), "x", {}), -1);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_EQ(ReceiveWithDescriptors(ours_.get(), buffer_).size, 0);
}

}  // namespace
}  // namespace farlet
