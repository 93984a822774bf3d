#include "runtime/vm/files/message_stream.h"

#include "runtime/vm/files/file_server.h"
#include "tests/unit/runtime/vm/files/fuse_client.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

namespace farlet::files {
namespace {

class MessageStreamTest : public testing::Test {
 protected:
  MessageStreamTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest_ = UniqueFd(ends[0]);
    server_ = UniqueFd(ends[1]);
  }

  void Say(const std::string& bytes) {
    ASSERT_EQ(::write(guest_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  static std::string Got(const Result<Bytes>& message) {
    return message ? BytesOf(message->data(), message->size()) : message.error().message;
  }

  UniqueFd guest_;
  UniqueFd server_;
};

TEST_F(MessageStreamTest, TakesMessagesApartHoweverTheyArrive) {
  const std::string one = Message(FUSE_GETATTR, 1, "abc");
  const std::string two = Message(FUSE_LOOKUP, 1, std::string(5000, 'x'));
  const std::string three = Message(FUSE_STATFS, 1, "");
  MessageStream stream(server_.get());
  Say(one + two.substr(0, 100));
  EXPECT_EQ(Got(stream.Next()), one);
  std::thread writer([&] {
    for (const char byte : two.substr(100)) {
      Say(std::string(1, byte));
    }
    Say(three);
  });
  EXPECT_EQ(Got(stream.Next()), two);
  EXPECT_EQ(Got(stream.Next()), three);
  writer.join();
  guest_.Close();
  EXPECT_EQ(Got(stream.Next()), "");
}

TEST_F(MessageStreamTest, TakesTheLongestMessageAndNoneLonger) {
  const std::string longest =
      Message(FUSE_WRITE, 1, std::string(kMaxRequest - sizeof(fuse_in_header), 'x'));
  MessageStream stream(server_.get());
  std::thread writer([&] { Say(longest); });
  EXPECT_EQ(Got(stream.Next()), longest);
  writer.join();
  std::string longer = longest;
  const uint32_t length = kMaxRequest + 1;
  std::memcpy(longer.data(), &length, sizeof(length));
  Say(longer.substr(0, 100));
  const auto refused = stream.Next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kDataLoss);
}

TEST_F(MessageStreamTest, RefusesLengthsThatNoMessageHas) {
  for (const uint32_t length : {0U, 1U, 39U, 0x7fffffffU, 0xffffffffU}) {
    std::string message = Message(FUSE_GETATTR, 1, "");
    std::memcpy(message.data(), &length, sizeof(length));
    std::array<int, 2> ends{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    guest_ = UniqueFd(ends[0]);
    server_ = UniqueFd(ends[1]);
    MessageStream stream(server_.get());
    Say(message);
    const auto refused = stream.Next();
    ASSERT_FALSE(refused) << length;
    EXPECT_EQ(refused.error().code, Code::kDataLoss);
  }
}

TEST_F(MessageStreamTest, AnEndWithinAMessageIsAnError) {
  MessageStream stream(server_.get());
  Say(Message(FUSE_GETATTR, 1, "abc").substr(0, 41));
  guest_.Close();
  const auto cut = stream.Next();
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Code::kDataLoss);
}

TEST_F(MessageStreamTest, SendsAllOnANonBlockingSocketAndTellsOfAGoneReader) {
  ASSERT_EQ(::fcntl(server_.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string large(4u << 20, 'x');
  MessageStream stream(server_.get());
  std::string got;
  std::thread reader([&] {
    std::array<char, 65536> buffer{};
    while (got.size() < large.size()) {
      const ssize_t count = ::read(guest_.get(), buffer.data(), buffer.size());
      ASSERT_GT(count, 0);
      got.append(buffer.data(), static_cast<size_t>(count));
    }
  });
  EXPECT_TRUE(stream.Send(std::as_bytes(std::span(large))));
  reader.join();
  EXPECT_EQ(got, large);
  guest_.Close();
  const Status gone = stream.Send(std::as_bytes(std::span(large)));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace farlet::files
