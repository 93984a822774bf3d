#include "tests/unit/runtime/ttrpc/ttrpc_test_support.h"

#include <boost/asio/post.hpp>

#include <vector>

namespace farlet::ttrpc {
namespace {

using Answer = Awaited<Result<std::string>>;

// Our client against what a test writes.
class ClientTest : public testing::Test {
 protected:
  RawPeer Connect(const Limits& limits = {}) {
    auto [ours, theirs] = SocketPair();
    client_ = Client::Over(io_.context(), std::move(ours), limits);
    client_->OnEnd([this](const Error& error) { ended_.Set(error); });
    return RawPeer(std::move(theirs));
  }

  Answer Call(std::string method,
              std::string payload = {},
              std::chrono::milliseconds timeout = std::chrono::milliseconds(0)) {
    Answer answer;
    client_->Call("test.Service", std::move(method), std::move(payload), timeout,
                  [answer](Result<std::string> got) { answer.Set(std::move(got)); });
    return answer;
  }

  static Code CodeOf(Answer answer) {
    const auto got = answer.Get();
    EXPECT_FALSE(got);
    return got ? Code::kUnknown : got.error().code;
  }

  Awaited<Error> ended_;
  IoThread io_;
  std::shared_ptr<Client> client_;
};

TEST_F(ClientTest, WritesWhatTheProtocolSays) {
  RawPeer peer = Connect();
  Answer first = Call("A", "payload", std::chrono::hours(1));
  const wire::Request a = peer.ReadRequest(1);
  EXPECT_EQ(a.service(), "test.Service");
  EXPECT_EQ(a.method(), "A");
  EXPECT_EQ(a.payload(), "payload");
  EXPECT_LE(a.timeout_nano(), std::chrono::nanoseconds(std::chrono::hours(1)).count());
  EXPECT_GT(a.timeout_nano(), std::chrono::nanoseconds(std::chrono::minutes(50)).count());
  Answer second = Call("B");
  const wire::Request b = peer.ReadRequest(3);
  EXPECT_EQ(b.timeout_nano(), 0);
  ASSERT_TRUE(peer.Write(ResponseFrame(3, "for B") + ResponseFrame(1, "for A")));
  EXPECT_EQ(second.Get().value(), "for B");
  EXPECT_EQ(first.Get().value(), "for A");
}

TEST_F(ClientTest, AnEmptyAnswerIsAnAnswer) {
  RawPeer peer = Connect();
  Answer answer = Call("A");
  ASSERT_TRUE(peer.Write(MakeFrame(1, kTypeResponse, "")));
  EXPECT_EQ(answer.Get().value(), "");
}

TEST_F(ClientTest, SkipsOtherFramesAndLateAnswers) {
  RawPeer peer = Connect();
  EXPECT_EQ(CodeOf(Call("Late", "", std::chrono::milliseconds(1))), Code::kDeadlineExceeded);
  Answer answer = Call("A");
  ASSERT_TRUE(peer.Write(MakeFrame(1, 3, "data") + ResponseFrame(1, "late") +
                         MakeFrame(99, 77, "new") + ResponseFrame(3, "in time")));
  EXPECT_EQ(answer.Get().value(), "in time");
}

TEST_F(ClientTest, AnAnswerToNoCallEndsTheConnection) {
  for (const uint32_t stream : {0U, 2U, 3U, 0xffffffffU}) {
    auto [ours, theirs] = SocketPair();
    const auto client = Client::Over(io_.context(), std::move(ours));
    RawPeer peer(std::move(theirs));
    Answer answer;
    client->Call("test.Service", "A", "", std::chrono::milliseconds(0),
                 [answer](Result<std::string> got) { answer.Set(std::move(got)); });
    peer.ReadRequest(1);
    ASSERT_TRUE(peer.Write(ResponseFrame(stream, "unasked")));
    EXPECT_EQ(CodeOf(answer), Code::kUnavailable) << stream;
    EXPECT_FALSE(peer.Read());
  }
}

TEST_F(ClientTest, AnAnswerWithoutSenseFailsItsCallOnly) {
  RawPeer peer = Connect({.max_received = 1000});
  Answer garbage = Call("A");
  Answer large = Call("B");
  Answer good = Call("C");
  ASSERT_TRUE(peer.Write(MakeFrame(1, kTypeResponse, "\xff\xff\xff") +
                         MakeFrame(3, kTypeResponse, std::string(1001, 'x')) +
                         ResponseFrame(5, "good")));
  EXPECT_EQ(CodeOf(garbage), Code::kInternal);
  EXPECT_EQ(CodeOf(large), Code::kResourceExhausted);
  EXPECT_EQ(good.Get().value(), "good");
}

TEST_F(ClientTest, GarbageEndsTheConnection) {
  RawPeer peer = Connect();
  Answer answer = Call("A");
  peer.Write(std::string(100, '\xee'));
  const auto got = answer.Get();
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::kUnavailable);
  EXPECT_TRUE(got.error().message.starts_with("test.Service/A: ")) << got.error().message;
  EXPECT_NE(got.error().message.find("not ttrpc"), std::string::npos) << got.error().message;
  EXPECT_EQ(ended_.Get().code, Code::kUnavailable);
}

TEST_F(ClientTest, TimeIsOverNotBefore) {
  RawPeer peer = Connect();
  const auto before = std::chrono::steady_clock::now();
  Answer late = Call("A", "", std::chrono::milliseconds(60));
  Answer in_time = Call("B", "", kPatience);
  peer.ReadRequest(1);
  peer.ReadRequest(3);
  EXPECT_EQ(CodeOf(late), Code::kDeadlineExceeded);
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(59));
  ASSERT_TRUE(peer.Write(ResponseFrame(3, "in time")));
  EXPECT_EQ(in_time.Get().value(), "in time");
}

TEST_F(ClientTest, TheEndFailsWhatIsOpenAndWhatComes) {
  RawPeer peer = Connect();
  Answer answered = Call("A");
  Answer open = Call("B");
  peer.ReadRequest(1);
  peer.ReadRequest(3);
  ASSERT_TRUE(peer.Write(ResponseFrame(1, "before the end")));
  peer.Close();
  EXPECT_EQ(answered.Get().value(), "before the end");
  EXPECT_EQ(CodeOf(open), Code::kUnavailable);
  EXPECT_EQ(ended_.Get().code, Code::kUnavailable);
  EXPECT_EQ(CodeOf(Call("C")), Code::kUnavailable);
  Awaited<Error> afterwards;
  client_->OnEnd([afterwards](const Error& error) { afterwards.Set(error); });
  EXPECT_EQ(afterwards.Get().code, Code::kUnavailable);
}

TEST_F(ClientTest, AnAnswerIsDeliveredThoughTheOtherSideLeft) {
  auto [ours, theirs] = SocketPair();
  RawPeer peer(std::move(theirs));
  ASSERT_TRUE(peer.Write(ResponseFrame(1, "early")));
  peer.Close();
  // The I/O thread stands still until both calls are made: their requests fail to be written before
  // the answer is read.
  std::promise<void> gate;
  boost::asio::post(io_.context(), [open = gate.get_future().share()] { open.wait(); });
  client_ = Client::Over(io_.context(), std::move(ours));
  Answer answered = Call("A");
  Answer open = Call("B");
  gate.set_value();
  EXPECT_EQ(answered.Get().value(), "early");
  EXPECT_EQ(CodeOf(open), Code::kUnavailable);
}

TEST_F(ClientTest, CloseFailsWhatIsOpenAndWhatComes) {
  RawPeer peer = Connect();
  Answer open = Call("A");
  client_->Close();
  EXPECT_EQ(CodeOf(open), Code::kUnavailable);
  EXPECT_EQ(CodeOf(Call("B")), Code::kUnavailable);
  peer.ReadRequest(1);
  EXPECT_FALSE(peer.Read());
}

TEST_F(ClientTest, ItsDestructionFailsWhatIsOpen) {
  RawPeer peer = Connect();
  Answer open = Call("A");
  client_.reset();
  EXPECT_EQ(CodeOf(open), Code::kUnavailable);
}

TEST_F(ClientTest, OpenCallsAreCounted) {
  RawPeer peer = Connect({.max_open_calls = 1});
  Answer first = Call("A");
  EXPECT_EQ(CodeOf(Call("B")), Code::kResourceExhausted);
  const auto request = peer.Read();
  ASSERT_TRUE(request);
  ASSERT_TRUE(peer.Write(ResponseFrame(request->stream, "done")));
  EXPECT_EQ(first.Get().value(), "done");
  Answer third = Call("C");
  const auto next = peer.Read();
  ASSERT_TRUE(next);
  ASSERT_TRUE(peer.Write(ResponseFrame(next->stream, "done")));
  EXPECT_EQ(third.Get().value(), "done");
}

TEST_F(ClientTest, WhoTakesNoRequestsGetsNoMore) {
  RawPeer peer = Connect({.max_queued_bytes = 2u << 20});
  // The socket takes some, the queue the rest.
  std::vector<Answer> answers;
  for (int i = 0; i < 40; ++i) {
    answers.push_back(Call("Early", std::string(100'000, 'x'), std::chrono::milliseconds(300)));
  }
  int exhausted = 0;
  for (const Answer& answer : answers) {
    const Code code = CodeOf(answer);
    EXPECT_TRUE(code == Code::kResourceExhausted || code == Code::kDeadlineExceeded);
    exhausted += code == Code::kResourceExhausted ? 1 : 0;
  }
  EXPECT_GT(exhausted, 0);
  // What was not begun when its time was over is not sent: the next thing to come after that is
  // new.
  Answer fresh = Call("Fresh", "", kPatience);
  int early = 0;
  for (std::string last; last != "Fresh";) {
    const auto frame = peer.Read();
    ASSERT_TRUE(frame);
    wire::Request request;
    ASSERT_TRUE(request.ParseFromString(frame->payload));
    last = request.method();
    early += last == "Early" ? 1 : 0;
    if (last == "Fresh") {
      ASSERT_TRUE(peer.Write(ResponseFrame(frame->stream, "fresh")));
    }
  }
  EXPECT_EQ(fresh.Get().value(), "fresh");
  EXPECT_LT(early, 20);  // what the socket held, and one more
}

}  // namespace
}  // namespace farlet::ttrpc
