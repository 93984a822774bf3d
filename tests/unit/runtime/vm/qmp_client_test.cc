#include "runtime/vm/qmp_client.h"

#include "runtime/base/fd.h"
#include "runtime/vm/watcher.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace farlet::vm {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kLong{30000};
constexpr milliseconds kShort{50};
constexpr char kGreeting[] =
    R"({"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}})";

// The other end of the socket: a QMP server of a test's making, on a thread of its own.
class QmpClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> pair{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
    server_ = UniqueFd(pair[1]);
    client_ = std::make_unique<QmpClient>(
        UniqueFd(pair[0]), [this](const QmpEvent& event) { events_.push_back(event.name); });
    auto watcher = Watcher::Start({{client_->fd(), [this] { return client_->OnReadable(); }}});
    ASSERT_TRUE(watcher);
    watcher_ = std::move(*watcher);
  }

  void Say(const std::string& text) {
    (void)!::send(server_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }

  // The next command; a descriptor that came with it is in passed_.
  json Hear() {
    std::string line;
    while (true) {
      char byte = 0;
      iovec part{.iov_base = &byte, .iov_len = 1};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      if (::recvmsg(server_.get(), &message, MSG_CMSG_CLOEXEC) != 1) {
        return nullptr;
      }
      if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        passed_ = UniqueFd(fd);
      }
      if (byte == '\n') {
        return json::parse(line);
      }
      line += byte;
    }
  }

  void Reply(const json& command, const json& result) {
    Say(json{{"return", result}, {"id", command.at("id")}}.dump() + "\r\n");
  }

  UniqueFd server_;
  UniqueFd passed_;
  std::vector<std::string> events_;  // touched by the watcher's thread
  std::unique_ptr<QmpClient> client_;
  std::unique_ptr<Watcher> watcher_;
};

TEST_F(QmpClientTest, NegotiatesAndExecutes) {
  std::thread server([&] {
    Say(std::string(kGreeting) + "\r\n");
    const json first = Hear();
    EXPECT_EQ(first.at("execute"), "qmp_capabilities");
    Reply(first, json::object());
    const json second = Hear();
    EXPECT_EQ(second.at("execute"), "do");
    EXPECT_EQ(second.at("arguments"), json({{"a", 1}}));
    Reply(second, 5);
  });
  const Status status = client_->Negotiate(kLong);
  EXPECT_TRUE(status) << status.error().message;
  const auto result = client_->Execute("do", {{"a", 1}}, kLong);
  server.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 5);
}

TEST_F(QmpClientTest, ErrorsNameTheCommand) {
  std::thread server([&] {
    const json command = Hear();
    Say(json{{"error", {{"class", "GenericError"}, {"desc", "no such node"}}},
             {"id", command["id"]}}
            .dump() +
        "\n");
  });
  const auto result = client_->Execute("blockdev-del", nullptr, kLong);
  server.join();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "QMP blockdev-del: GenericError: no such node");
}

TEST_F(QmpClientTest, LateAnswersAreDropped) {
  const auto late = client_->Execute("slow", nullptr, kShort);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
  std::thread server([&] {
    const json slow = Hear();
    const json quick = Hear();
    Reply(slow, "late");
    Reply(quick, "in time");
  });
  const auto result = client_->Execute("quick", nullptr, kLong);
  server.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "in time");
}

TEST_F(QmpClientTest, NoGreeting) {
  EXPECT_EQ(client_->Negotiate(kShort).error().code, Code::kDeadlineExceeded);
}

TEST_F(QmpClientTest, PassesDescriptors) {
  std::thread server([&] { Reply(Hear(), json::object()); });
  const UniqueFd file(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(client_->Execute("add-fd", {{"fdset-id", 1}}, kLong, file.get()));
  server.join();
  char byte = 'x';
  ASSERT_EQ(::read(passed_.get(), &byte, 1), 1);
  EXPECT_EQ(byte, '\0');
}

TEST_F(QmpClientTest, EndMeansUnavailableForAllWhoWait) {
  auto waiting =
      std::async(std::launch::async, [&] { return client_->Execute("x", nullptr, kLong); });
  Hear();
  server_.Close();
  EXPECT_EQ(waiting.get().error().code, Code::kUnavailable);
  EXPECT_EQ(client_->Execute("y", nullptr, kLong).error().code, Code::kUnavailable);
  EXPECT_EQ(client_->AwaitExpected(kLong).error().code, Code::kUnavailable);
  EXPECT_EQ(client_->Negotiate(kLong).error().code, Code::kUnavailable);
}

TEST_F(QmpClientTest, EndlessLineEndsTheConnection) {
  auto waiting =
      std::async(std::launch::async, [&] { return client_->Execute("x", nullptr, kLong); });
  Hear();
  const std::string piece(64u << 10, 'x');
  for (int i = 0; i < 5; ++i) {
    Say(piece);
  }
  EXPECT_EQ(waiting.get().error().code, Code::kDataLoss);
}

TEST_F(QmpClientTest, GarbageEndsTheConnection) {
  auto waiting =
      std::async(std::launch::async, [&] { return client_->Execute("x", nullptr, kLong); });
  Hear();
  Say("hello\n");
  const auto result = waiting.get();
  EXPECT_EQ(result.error().code, Code::kDataLoss) << result.error().message;
}

TEST_F(QmpClientTest, PeerThatDoesNotRead) {
  const auto result = client_->Execute("x", {{"long", std::string(4u << 20, 'x')}}, kShort);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
  // Half a command is out, so there is no going on.
  EXPECT_FALSE(client_->Execute("y", nullptr, kLong));
}

TEST_F(QmpClientTest, ExpectedEventAmongOthers) {
  client_->Expect([](const QmpEvent& event) { return event.data.contains("wanted"); });
  Say(R"({"event": "A", "data": {}})"
      "\n"
      R"({"event": "B", "data": {"wanted": 1}})"
      "\n"
      R"({"event": "C", "data": {"wanted": 2}})"
      "\n");
  const auto event = client_->AwaitExpected(kLong);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->name, "B");
  watcher_.reset();
  EXPECT_EQ(events_.front(), "A");
}

TEST_F(QmpClientTest, ExpectedEventThatDoesNotCome) {
  client_->Expect([](const QmpEvent&) { return false; });
  Say(R"({"event": "A"})"
      "\n");
  EXPECT_EQ(client_->AwaitExpected(kShort).error().code, Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace farlet::vm
