#include "runtime/guest/fuse_relay.h"

#include "runtime/base/fd.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>

namespace farlet::guest {
namespace {

// Sockets in the places of /dev/fuse, which keeps messages apart, and the port, which does not.
class FuseRelay : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair.data()), 0);
    kernel_ = UniqueFd(pair[0]);
    fuse_ = UniqueFd(pair[1]);
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()), 0);
    server_ = UniqueFd(pair[0]);
    port_ = UniqueFd(pair[1]);
    for (const int fd : {fuse_.get(), port_.get()}) {
      ASSERT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    }
    // Large enough for the largest message.
    const int size = 1 << 20;
    for (const int fd : {kernel_.get(), fuse_.get()}) {
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    thread_ = std::thread([this] { ended_ = RelayFuse(fuse_.get(), port_.get()); });
  }

  void TearDown() override {
    if (thread_.joinable()) {
      End();
    }
  }

  // A length that no answer may have.
  void End() {
    Send(std::string(16, '\xff'));
    thread_.join();
  }

  static std::string Message(uint32_t size, char fill) {
    std::string message(size, fill);
    std::memcpy(message.data(), &size, sizeof size);
    return message;
  }

  void Send(const std::string& bytes) const {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::send(server_.get(), bytes.data() + done, bytes.size() - done, 0);
      ASSERT_GT(count, 0);
      done += static_cast<size_t>(count);
    }
  }

  static std::string Receive(int fd, size_t size) {
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < size) {
      const ssize_t count = ::recv(fd, bytes.data() + done, size - done, 0);
      if (count <= 0) {
        break;
      }
      done += static_cast<size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

  UniqueFd kernel_;
  UniqueFd fuse_;
  UniqueFd server_;
  UniqueFd port_;
  std::thread thread_;
  Status ended_;
};

TEST_F(FuseRelay, RequestsGoThrough) {
  for (const uint32_t size : {40u, 5000u, 130000u}) {
    const std::string request = Message(size, 'r');
    ASSERT_EQ(::send(kernel_.get(), request.data(), request.size(), 0),
              static_cast<ssize_t>(request.size()));
    EXPECT_EQ(Receive(server_.get(), size), request);
  }
}

TEST_F(FuseRelay, AnswersAreWholeMessages) {
  const std::string small = Message(16, 'a');
  const std::string large = Message(130000, 'b');
  // Together, and cut where it hurts.
  const std::string all = small + large + small;
  Send(all.substr(0, 17));
  Send(all.substr(17, 10));
  Send(all.substr(27));
  std::string buffer(200000, '\0');
  for (const std::string& expected : {small, large, small}) {
    const ssize_t count = ::recv(kernel_.get(), buffer.data(), buffer.size(), 0);
    ASSERT_EQ(count, static_cast<ssize_t>(expected.size()));
    EXPECT_EQ(buffer.substr(0, expected.size()), expected);
  }
}

TEST_F(FuseRelay, LengthsThatCannotBeEndIt) {
  End();
  ASSERT_FALSE(ended_);
  EXPECT_EQ(ended_.error().code, Code::kDataLoss);
}

TEST_F(FuseRelay, LengthsBelowTheHeaderEndIt) {
  Send(std::string(16, '\0'));
  thread_.join();
  ASSERT_FALSE(ended_);
  EXPECT_EQ(ended_.error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace farlet::guest
