#include "tests/unit/runtime/ttrpc/ttrpc_test_support.h"

#include <boost/asio/post.hpp>

#include <atomic>
#include <deque>
#include <mutex>

namespace farlet::ttrpc {
namespace {

// Callers that want too much of our server.
class ServerLimitsTest : public testing::Test {
 protected:
  void Start(const Limits& limits) {
    server_.emplace(io_.context(), limits);
    server_->Register("test.Service", "Hold", [this](const Request&, Reply reply) {
      const std::lock_guard lock(mutex_);
      held_.push_back(std::move(reply));
    });
    server_->Register("test.Service", "Big", [this](const Request&, const Reply& reply) {
      ++big_;
      reply(std::string(10000, 'x'));
    });
    server_->OnError([this](const Error& error) { error_.Set(error); });
  }

  RawPeer Connect() {
    auto [ours, theirs] = SocketPair();
    server_->Serve(std::move(theirs));
    return RawPeer(std::move(ours));
  }

  Reply TakeHeld() {
    const std::lock_guard lock(mutex_);
    Reply reply = std::move(held_.front());
    held_.pop_front();
    return reply;
  }

  Awaited<Error> error_;
  std::atomic<int> big_ = 0;
  std::mutex mutex_;  // guards held_
  std::deque<Reply> held_;
  IoThread io_;
  std::optional<Server> server_;
};

TEST_F(ServerLimitsTest, OpenCalls) {
  Start({.max_open_calls = 2});
  RawPeer peer = Connect();
  ASSERT_TRUE(
      peer.Write(RequestFrame(1, "Hold") + RequestFrame(3, "Hold") + RequestFrame(5, "Hold")));
  EXPECT_TRUE(peer.ReadAnswer(5).starts_with("error 8 "));
  TakeHeld()("one");
  EXPECT_EQ(peer.ReadAnswer(1), "one");
  ASSERT_TRUE(peer.Write(RequestFrame(7, "Big")));
  EXPECT_EQ(peer.ReadAnswer(7).size(), 10000U);
}

TEST_F(ServerLimitsTest, HandlersCountUntilTheyLetGo) {
  Start({.max_open_calls = 1});
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold", "", std::chrono::milliseconds(1))));
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 4 "));
  ASSERT_TRUE(peer.Write(RequestFrame(3, "Big")));
  EXPECT_TRUE(peer.ReadAnswer(3).starts_with("error 8 "));
  TakeHeld()("nobody hears this, but the call is over");
  // What is posted after the reply runs after it.
  Awaited<bool> settled;
  boost::asio::post(io_.context(), [settled] { settled.Set(true); });
  EXPECT_TRUE(settled.Get());
  ASSERT_TRUE(peer.Write(RequestFrame(5, "Big")));
  EXPECT_EQ(peer.ReadAnswer(5).size(), 10000U);
}

TEST_F(ServerLimitsTest, BytesOfOpenCalls) {
  Start({.max_open_bytes = 10000});
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold", std::string(6000, 'x')) +
                         RequestFrame(3, "Hold", std::string(6000, 'x'))));
  EXPECT_TRUE(peer.ReadAnswer(3).starts_with("error 8 "));
  TakeHeld()("done");
  EXPECT_EQ(peer.ReadAnswer(1), "done");
  ASSERT_TRUE(peer.Write(RequestFrame(5, "Hold", std::string(9000, 'x')) +
                         RequestFrame(7, "Hold", std::string(6000, 'x'))));
  EXPECT_TRUE(peer.ReadAnswer(7).starts_with("error 8 "));
}

TEST_F(ServerLimitsTest, SizeOfARequest) {
  Start({.max_received = 1000});
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Big", std::string(1001, 'x')) + RequestFrame(3, "Big")));
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 8 "));
  EXPECT_EQ(peer.ReadAnswer(3).size(), 10000U);
}

TEST_F(ServerLimitsTest, SizeOfAnAnswer) {
  Start({.max_sent = 1000});
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Big")));
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 8 "));
}

TEST_F(ServerLimitsTest, WhoReadsNothingIsReadNoMore) {
  Start({.max_queued_bytes = 1u << 20});
  RawPeer peer = Connect();
  const auto [written, rest] = peer.WriteUntilStuck([](int i) {
    return RequestFrame(static_cast<uint32_t>(2 * i + 1), "Big", std::string(2000, 'p'));
  });
  // A socket's worth of answers, half of the queue, and what one turn adds to it.
  EXPECT_LT(big_, 500);
  EXPECT_GT(written, big_);
  ASSERT_FALSE(rest.empty()) << "the server has ended the connection";
  std::thread writer([&, &unsent = rest] { EXPECT_TRUE(peer.Write(unsent)); });
  for (int i = 0; i <= written; ++i) {
    ASSERT_EQ(peer.ReadAnswer(static_cast<uint32_t>(2 * i + 1)).size(), 10000U) << i;
  }
  writer.join();
}

TEST_F(ServerLimitsTest, AnswersThatNobodyTakesEndTheConnection) {
  Start({.max_queued_bytes = 1u << 20});
  RawPeer peer = Connect();
  std::string requests;
  for (uint32_t i = 0; i < 200; ++i) {
    requests += RequestFrame(2 * i + 1, "Hold");
  }
  ASSERT_TRUE(peer.Write(requests + RequestFrame(1001, "Big")));
  EXPECT_EQ(peer.ReadAnswer(1001).size(), 10000U);
  for (int i = 0; i < 200; ++i) {
    TakeHeld()(std::string(100'000, 'y'));
  }
  EXPECT_EQ(error_.Get().code, Code::kResourceExhausted);
}

TEST_F(ServerLimitsTest, Connections) {
  Start({.max_connections = 1});
  RawPeer first = Connect();
  ASSERT_TRUE(first.Write(RequestFrame(1, "Big")));
  EXPECT_EQ(first.ReadAnswer(1).size(), 10000U);
  RawPeer second = Connect();
  EXPECT_EQ(second.ReadAnswer(1), "end");
  EXPECT_EQ(error_.Get().code, Code::kResourceExhausted);
  ASSERT_TRUE(first.Write(RequestFrame(3, "Big")));
  EXPECT_EQ(first.ReadAnswer(3).size(), 10000U);
}

}  // namespace
}  // namespace farlet::ttrpc
