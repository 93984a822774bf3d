#include "tests/unit/runtime/ttrpc/ttrpc_test_support.h"

namespace farlet::ttrpc {
namespace {

// A packet socket reads 0 bytes where an empty packet was sent, as a virtio port does while nobody
// has it open on the host, and then goes on.
class ZeroReadTest : public testing::Test {
 protected:
  ZeroReadTest() : sockets_(SocketPair(SOCK_SEQPACKET)), peer_(std::move(sockets_.first)) {
    server_.Register("test.Service", "Echo", [](Request request, const Reply& reply) {
      reply(std::move(request.payload));
    });
    server_.Register("test.Service", "Hold", [this](const Request& request, Reply reply) {
      const size_t round = std::stoul(request.payload);
      request.cancellation.OnCancel([this, round] { cancelled_.at(round).Set(true); });
      held_.at(round).Set(std::move(reply));
    });
  }

  void SendNothing() { ASSERT_EQ(::send(peer_.fd(), "", 0, 0), 0); }

  static Limits PortLimits() { return {.zero_read_is_end = false}; }

  std::pair<UniqueFd, UniqueFd> sockets_;
  RawPeer peer_;
  std::vector<Awaited<Reply>> held_ = std::vector<Awaited<Reply>>(3);
  std::vector<Awaited<bool>> cancelled_ = std::vector<Awaited<bool>>(3);
  IoThread io_;
  Server server_{io_.context(), PortLimits()};
};

TEST_F(ZeroReadTest, TheServerStartsAfresh) {
  server_.Serve(std::move(sockets_.second));
  SendNothing();
  for (size_t round = 0; round < held_.size(); ++round) {
    ASSERT_TRUE(peer_.Write(RequestFrame(1, "Echo", "hello")));
    EXPECT_EQ(peer_.ReadAnswer(1), "hello");
    ASSERT_TRUE(peer_.Write(RequestFrame(3, "Hold", std::to_string(round))));
    const Reply reply = held_.at(round).Get();
    ASSERT_TRUE(peer_.Write("half a"));
    SendNothing();
    EXPECT_TRUE(cancelled_.at(round).Get());
    reply("for a caller that left");
    // The same number belongs to another call now.
    ASSERT_TRUE(peer_.Write(RequestFrame(3, "Echo", "mine")));
    EXPECT_EQ(peer_.ReadAnswer(3), "mine");
  }
}

TEST_F(ZeroReadTest, WithoutTheOptionItIsTheEnd) {
  Server server(io_.context());
  Awaited<Status> ended;
  server.Serve(std::move(sockets_.second), [ended](const Status& end) { ended.Set(end); });
  SendNothing();
  EXPECT_TRUE(ended.Get());
}

TEST_F(ZeroReadTest, AClientGoesOn) {
  const auto client = Client::Over(io_.context(), std::move(sockets_.second), PortLimits());
  const auto call = [&] {
    Awaited<Result<std::string>> answer;
    client->Call("test.Service", "A", "", std::chrono::milliseconds(0),
                 [answer](Result<std::string> got) { answer.Set(std::move(got)); });
    return answer;
  };
  auto lost = call();
  peer_.ReadRequest(1);
  SendNothing();
  EXPECT_EQ(lost.Get().error().code, Code::kUnavailable);
  auto next = call();
  peer_.ReadRequest(3);
  ASSERT_TRUE(peer_.Write(ResponseFrame(3, "back again")));
  EXPECT_EQ(next.Get().value(), "back again");
}

}  // namespace
}  // namespace farlet::ttrpc
