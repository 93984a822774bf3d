#include "tests/unit/runtime/ttrpc/ttrpc_test_support.h"

#include <fcntl.h>

namespace farlet::ttrpc {
namespace {

// Our server against what a test writes.
class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    server_.Register("test.Service", "Echo", [](Request request, const Reply& reply) {
      reply(std::move(request.payload));
    });
    server_.Register("test.Service", "Hold", [this](const Request& request, Reply reply) {
      request.cancellation.OnCancel([this] { cancelled_.Set(true); });
      held_.Set(std::move(reply));
    });
    server_.OnError([this](const Error& error) { error_.Set(error); });
  }

  RawPeer Connect() {
    auto [ours, theirs] = SocketPair();
    server_.Serve(std::move(theirs), [this](const Status& end) { ended_.Set(end); });
    return RawPeer(std::move(ours));
  }

  Awaited<Reply> held_;
  Awaited<bool> cancelled_;
  Awaited<Status> ended_;
  Awaited<Error> error_;
  IoThread io_;
  Server server_{io_.context()};
};

TEST_F(ServerTest, AnswersInAnyOrder) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold") + RequestFrame(3, "Echo", "three") +
                         RequestFrame(5, "Echo", "five")));
  EXPECT_EQ(peer.ReadAnswer(3), "three");
  EXPECT_EQ(peer.ReadAnswer(5), "five");
  held_.Get()("one");
  EXPECT_EQ(peer.ReadAnswer(1), "one");
}

TEST_F(ServerTest, AStreamMayComeAgainAfterItsAnswer) {
  RawPeer peer = Connect();
  for (const char* text : {"a", "b"}) {
    ASSERT_TRUE(peer.Write(RequestFrame(7, "Echo", text)));
    EXPECT_EQ(peer.ReadAnswer(7), text);
  }
}

TEST_F(ServerTest, BytesOneByOne) {
  RawPeer peer = Connect();
  for (const char byte : RequestFrame(1, "Echo", "slow")) {
    ASSERT_TRUE(peer.Write({&byte, 1}));
  }
  EXPECT_EQ(peer.ReadAnswer(1), "slow");
}

TEST_F(ServerTest, SkipsFramesOfOtherTypes) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(MakeFrame(1, 3, "data") + MakeFrame(1, kTypeResponse, "response") +
                         MakeFrame(2, 200, "new") + MakeFrame(0, 0, "") +
                         RequestFrame(1, "Echo", "after")));
  EXPECT_EQ(peer.ReadAnswer(1), "after");
}

TEST_F(ServerTest, RefusesWhatIsNoCall) {
  RawPeer peer = Connect();
  wire::Request request;
  request.set_service("test.Service");
  request.set_method("Echo");
  const std::string payload = request.SerializeAsString();
  ASSERT_TRUE(peer.Write(MakeFrame(2, kTypeRequest, payload)));
  EXPECT_TRUE(peer.ReadAnswer(2).starts_with("error 3 "));
  ASSERT_TRUE(peer.Write(MakeFrame(3, kTypeRequest, payload, kFlagRemoteOpen)));
  EXPECT_TRUE(peer.ReadAnswer(3).starts_with("error 12 "));
  ASSERT_TRUE(peer.Write(MakeFrame(5, kTypeRequest, "\xff\xff\xff")));
  EXPECT_TRUE(peer.ReadAnswer(5).starts_with("error 3 "));
  ASSERT_TRUE(peer.Write(MakeFrame(7, kTypeRequest, "")));
  EXPECT_TRUE(peer.ReadAnswer(7).starts_with("error 12 "));
  ASSERT_TRUE(peer.Write(MakeFrame(9, kTypeRequest, std::string((4u << 20) + 1, '\0'))));
  EXPECT_TRUE(peer.ReadAnswer(9).starts_with("error 8 "));
  ASSERT_TRUE(peer.Write(RequestFrame(11, "Echo", "still there")));
  EXPECT_EQ(peer.ReadAnswer(11), "still there");
}

TEST_F(ServerTest, ASecondCallOnAnOpenStreamEndsTheConnection) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold") + RequestFrame(1, "Echo")));
  EXPECT_EQ(peer.ReadAnswer(1), "end");
  EXPECT_EQ(error_.Get().code, Code::kInvalidArgument);
  EXPECT_FALSE(ended_.Get());
  EXPECT_TRUE(cancelled_.Get());
  held_.Get()("too late");
}

TEST_F(ServerTest, GarbageEndsTheConnection) {
  RawPeer peer = Connect();
  peer.Write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(peer.ReadAnswer(0), "end");
  EXPECT_EQ(error_.Get().code, Code::kInvalidArgument);
}

TEST_F(ServerTest, TheCallersEndCancelsItsCalls) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold")));
  const Reply reply = held_.Get();
  peer.Close();
  EXPECT_TRUE(cancelled_.Get());
  EXPECT_TRUE(ended_.Get());
  reply("into the void");
}

TEST_F(ServerTest, HalfClosedIsClosed) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold")));
  held_.Get();
  peer.ShutdownWrites();
  EXPECT_TRUE(cancelled_.Get());
  EXPECT_EQ(peer.ReadAnswer(1), "end");
}

TEST_F(ServerTest, AnEndWithinAFrameIsAnError) {
  RawPeer peer = Connect();
  const std::string frame = RequestFrame(1, "Echo", "whole");
  ASSERT_TRUE(peer.Write(std::string_view(frame).substr(0, frame.size() - 1)));
  peer.Close();
  EXPECT_EQ(error_.Get().code, Code::kUnavailable);
}

TEST_F(ServerTest, TheCallersTimeIsKeptHere) {
  RawPeer peer = Connect();
  const auto before = std::chrono::steady_clock::now();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold", "", std::chrono::milliseconds(50)) +
                         RequestFrame(3, "Echo", "quick", std::chrono::hours(24 * 400)) +
                         RequestFrame(5, "Echo", "quick", std::chrono::nanoseconds::max())));
  EXPECT_EQ(peer.ReadAnswer(3), "quick");
  EXPECT_EQ(peer.ReadAnswer(5), "quick");
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 4 "));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(49));
  EXPECT_TRUE(cancelled_.Get());
}

TEST_F(ServerTest, NoTimeAtAllIsOver) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold", "", std::chrono::nanoseconds::min())));
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 4 "));
}

TEST_F(ServerTest, MessagesOfErrorsAreUtf8) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold")));
  held_.Get()(NotFound("file \xff"));
  EXPECT_EQ(peer.ReadAnswer(1), "error 5 file ?");
}

TEST_F(ServerTest, CloseEndsAll) {
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Hold")));
  held_.Get();
  server_.Close();
  EXPECT_EQ(peer.ReadAnswer(1), "end");
  EXPECT_TRUE(cancelled_.Get());
  EXPECT_TRUE(ended_.Get());
}

TEST_F(ServerTest, NothingIsServedAfterClose) {
  server_.Close();
  RawPeer peer = Connect();
  EXPECT_FALSE(ended_.Get());
  EXPECT_EQ(peer.ReadAnswer(1), "end");
}

TEST_F(ServerTest, ADescriptorThatIsNoStreamIsAnError) {
  server_.Serve(UniqueFd(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)),
                [this](const Status& end) { ended_.Set(end); });
  EXPECT_FALSE(ended_.Get());
}

TEST_F(ServerTest, ACancellationAfterTheFactRunsAtOnce) {
  Awaited<Cancellation> token;
  server_.Register("test.Service", "Token", [token](const Request& request, const Reply& reply) {
    token.Set(request.cancellation);
    request.cancellation.OnCancel([reply] {});
  });
  RawPeer peer = Connect();
  ASSERT_TRUE(peer.Write(RequestFrame(1, "Token", "", std::chrono::milliseconds(1))));
  EXPECT_TRUE(peer.ReadAnswer(1).starts_with("error 4 "));
  ASSERT_TRUE(peer.Write(RequestFrame(3, "Echo", "later")));
  EXPECT_EQ(peer.ReadAnswer(3), "later");
  const Cancellation cancellation = token.Get();
  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_FALSE(Cancellation().cancelled());
  Cancellation().OnCancel([] { FAIL(); });
}

}  // namespace
}  // namespace farlet::ttrpc
