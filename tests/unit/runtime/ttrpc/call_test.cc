#include "runtime/ttrpc/unix_socket.h"
#include "tests/unit/runtime/ttrpc/ttrpc_test_support.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace farlet::ttrpc {
namespace {

using Message = wire::KeyValue;

Message MakeMessage(const std::string& key, const std::string& value) {
  Message message;
  message.set_key(key);
  message.set_value(value);
  return message;
}

// Our client against our server.
class CallTest : public testing::Test {
 protected:
  void Connect(Limits client_limits = {}) {
    auto [ours, theirs] = SocketPair();
    server_.Serve(std::move(theirs));
    client_ = Client::Over(io_.context(), std::move(ours), client_limits);
  }

  Result<std::string> Call(std::string method,
                           std::string payload,
                           std::chrono::nanoseconds timeout = kPatience) {
    return client_->CallAndWait(Request{.service = "test.Service",
                                        .method = std::move(method),
                                        .payload = std::move(payload),
                                        .timeout = timeout});
  }

  void RegisterEcho() {
    server_.Register("test.Service", "Echo", [](Request request, const Reply& reply) {
      reply(std::move(request.payload));
    });
  }

  IoThread io_;
  Server server_{io_.context()};
  std::shared_ptr<Client> client_;
};

TEST_F(CallTest, PayloadsComeBack) {
  RegisterEcho();
  Connect();
  for (const std::string& payload :
       {std::string(), std::string("x"), std::string("\0\xff", 2), std::string(1u << 20, 'y')}) {
    const auto answer = Call("Echo", payload);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(*answer, payload);
  }
}

TEST_F(CallTest, UpToFourMebibytes) {
  RegisterEcho();
  server_.Register("test.Service", "Big", [](const Request& request, const Reply& reply) {
    reply(std::string(std::stoul(request.payload), 'z'));
  });
  Connect();
  // In the frame stand the names, the timeout and the payload's length, too.
  const size_t overhead = 40;
  const auto fits = Call("Echo", std::string((4u << 20) - overhead, 'x'), {});
  ASSERT_TRUE(fits) << fits.error().message;
  EXPECT_EQ(fits->size(), (4u << 20) - overhead);
  const auto large = Call("Echo", std::string(4u << 20, 'x'));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(large.error().message.starts_with("test.Service/Echo: ")) << large.error().message;
  const auto answer = Call("Big", std::to_string(4u << 20));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(Call("Echo", "still there"));
}

TEST_F(CallTest, TypedMessages) {
  server_.Method<Message, Message>(
      "test.Service", "Swap", [](const Message& message, const Server::TypedReply<Message>& reply) {
        reply(MakeMessage(message.value(), message.key()));
      });
  Connect();
  const auto answer = client_->CallAndWait<Message, Message>("test.Service", "Swap",
                                                             MakeMessage("a", "b"), kPatience);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->key(), "b");
  EXPECT_EQ(answer->value(), "a");

  Awaited<Result<Message>> awaited;
  client_->Call<Message, Message>("test.Service", "Swap", MakeMessage("c", "d"), kPatience,
                                  [awaited](Result<Message> got) { awaited.Set(std::move(got)); });
  EXPECT_EQ(awaited.Get()->key(), "d");

  const auto garbage = Call("Swap", "\xff\xff\xff");
  ASSERT_FALSE(garbage);
  EXPECT_EQ(garbage.error().code, Code::kInvalidArgument);
}

TEST_F(CallTest, AnAnswerThatDoesNotParse) {
  server_.Register("test.Service", "Odd",
                   [](const Request&, const Reply& reply) { reply("\xff\xff\xff"); });
  Connect();
  const auto answer =
      client_->CallAndWait<Message, Message>("test.Service", "Odd", Message{}, kPatience);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kInternal);
  EXPECT_NE(answer.error().message.find("test.Service/Odd"), std::string::npos);
}

TEST_F(CallTest, HandlersSeeMetadataAndTimeout) {
  server_.Method<Message, Message>(
      "test.Service", "Look",
      [](const Request& request, const Message&, const Server::TypedReply<Message>& reply) {
        reply(MakeMessage(std::string(MetadataValue(request, "containerd-namespace-ttrpc")),
                          std::to_string(request.timeout.count())));
      });
  Connect();
  const auto payload = client_->CallAndWait(Request{
      .service = "test.Service",
      .method = "Look",
      .timeout = kPatience,
      .metadata = {{"other", "x"}, {"containerd-namespace-ttrpc", "k8s.io"}},
  });
  ASSERT_TRUE(payload) << payload.error().message;
  Message seen;
  ASSERT_TRUE(seen.ParseFromString(*payload));
  EXPECT_EQ(seen.key(), "k8s.io");
  const std::chrono::nanoseconds timeout(std::stoll(seen.value()));
  EXPECT_GT(timeout.count(), 0);
  EXPECT_LE(timeout, kPatience);
}

TEST_F(CallTest, EveryCodeTravels) {
  server_.Register("test.Service", "Fail", [](const Request& request, const Reply& reply) {
    reply(
        MakeError(static_cast<Code>(std::stoi(request.payload)), "because of " + request.payload));
  });
  Connect();
  for (int code = 1; code <= 16; ++code) {
    const auto answer = Call("Fail", std::to_string(code));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, static_cast<Code>(code));
    EXPECT_EQ(answer.error().message, "test.Service/Fail: because of " + std::to_string(code));
    EXPECT_EQ(answer.error().retryable, MakeError(static_cast<Code>(code), "").retryable);
  }
}

TEST_F(CallTest, WhatIsNotThereIsUnimplemented) {
  RegisterEcho();
  Connect();
  const auto method = Call("Other", "");
  ASSERT_FALSE(method);
  EXPECT_EQ(method.error().code, Code::kUnimplemented);
  const auto service = client_->CallAndWait(
      Request{.service = "other.Service", .method = "Echo", .timeout = kPatience});
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, Code::kUnimplemented);
  EXPECT_NE(service.error().message.find("no service other.Service"), std::string::npos);
}

TEST_F(CallTest, ALateHandlerIsNotWaitedFor) {
  Awaited<bool> cancelled;
  Awaited<Reply> kept;
  server_.Register("test.Service", "Never", [=](const Request& request, Reply reply) {
    const Cancellation cancellation = request.cancellation;
    cancellation.OnCancel([cancelled, cancellation] { cancelled.Set(cancellation.cancelled()); });
    kept.Set(std::move(reply));
  });
  RegisterEcho();
  Connect();
  const auto before = std::chrono::steady_clock::now();
  const auto answer = Call("Never", "", std::chrono::milliseconds(50));
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(49));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDeadlineExceeded);
  EXPECT_TRUE(cancelled.Get());
  kept.Get()("too late");
  EXPECT_EQ(Call("Echo", "next").value(), "next");
}

TEST_F(CallTest, AHandlerInTimeIsNotCancelled) {
  std::atomic<bool> cancelled = false;
  server_.Register("test.Service", "Just", [&](const Request& request, const Reply& reply) {
    request.cancellation.OnCancel([&] { cancelled = true; });
    reply("in time");
  });
  server_.Register("test.Service", "Hold", [](const Request& request, const Reply& reply) {
    request.cancellation.OnCancel([reply] {});
  });
  Connect();
  const auto timeout = std::chrono::milliseconds(400);
  EXPECT_EQ(Call("Just", "", timeout).value(), "in time");
  // Ends when the first call's time is over, too.
  EXPECT_EQ(Call("Hold", "", timeout).error().code, Code::kDeadlineExceeded);
  EXPECT_FALSE(cancelled);
}

TEST_F(CallTest, ADroppedReplyIsAnError) {
  server_.Register("test.Service", "Forget", [](const Request&, const Reply&) {});
  Connect();
  const auto answer = Call("Forget", "", {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kInternal);
}

TEST_F(CallTest, OnlyTheFirstReplyCounts) {
  server_.Register("test.Service", "Twice", [](const Request&, const Reply& reply) {
    reply("first");
    reply("second");
    reply(NotFound("third"));
  });
  Connect();
  EXPECT_EQ(Call("Twice", "").value(), "first");
  EXPECT_EQ(Call("Twice", "").value(), "first");
}

TEST_F(CallTest, ManyAtOnceFromManyThreads) {
  std::vector<std::thread> answering;
  server_.Register("test.Service", "Elsewhere", [&](Request request, Reply reply) {
    answering.emplace_back([request = std::move(request), reply = std::move(reply)] {
      reply(request.payload + request.payload);
    });
  });
  RegisterEcho();
  Connect();
  std::vector<std::thread> calling;
  std::atomic<int> good = 0;
  for (int thread = 0; thread < 4; ++thread) {
    calling.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const std::string payload = std::to_string(thread) + "-" + std::to_string(i);
        const bool elsewhere = i % 20 == 0;
        const auto answer = Call(elsewhere ? "Elsewhere" : "Echo", payload);
        good += answer && *answer == (elsewhere ? payload + payload : payload) ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : calling) {
    thread.join();
  }
  for (std::thread& thread : answering) {
    thread.join();
  }
  EXPECT_EQ(good, 800);
}

TEST_F(CallTest, ManyLargeOnesInFlight) {
  RegisterEcho();
  Connect(Limits{.max_queued_bytes = 64u << 20});
  constexpr size_t kCalls = 40;
  std::vector<Awaited<Result<std::string>>> answers(kCalls);
  for (size_t i = 0; i < kCalls; ++i) {
    client_->Call("test.Service", "Echo", std::string((1u << 20) + i, 'x'), kPatience,
                  [awaited = answers[i]](Result<std::string> got) { awaited.Set(std::move(got)); });
  }
  for (size_t i = 0; i < kCalls; ++i) {
    const auto answer = answers[i].Get();
    ASSERT_TRUE(answer) << i << ": " << answer.error().message;
    EXPECT_EQ(answer->size(), (1u << 20) + i);
  }
}

TEST_F(CallTest, TheServersEndFailsWhatIsOpen) {
  Awaited<Reply> kept;
  server_.Register("test.Service", "Never",
                   [kept](const Request&, Reply reply) { kept.Set(std::move(reply)); });
  Connect();
  Awaited<Result<std::string>> open;
  client_->Call("test.Service", "Never", "", std::chrono::milliseconds(0),
                [open](Result<std::string> got) { open.Set(std::move(got)); });
  const Reply reply = kept.Get();
  server_.Close();
  EXPECT_EQ(open.Get().error().code, Code::kUnavailable);
  EXPECT_EQ(Call("Never", "").error().code, Code::kUnavailable);
  reply("into the void");
}

TEST_F(CallTest, ServesASocketForOneUser) {
  RegisterEcho();
  std::string dir = "/tmp/farlet-ttrpc-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  Awaited<Error> refused;
  server_.OnError([refused](const Error& error) { refused.Set(error); });
  const auto call = [&](const std::string& path) {
    client_ = Client::Over(io_.context(), ConnectUnix(path).value());
    return Call("Echo", "hello");
  };
  server_.Listen(ListenUnix(dir + "/mine", 0600).value(), {.peer_uid = ::getuid()});
  server_.Listen(ListenUnix(dir + "/other", 0600).value(), {.peer_uid = ::getuid() + 1});
  EXPECT_EQ(call(dir + "/mine").value(), "hello");
  EXPECT_EQ(call(dir + "/mine").value(), "hello");
  EXPECT_EQ(call(dir + "/other").error().code, Code::kUnavailable);
  EXPECT_EQ(refused.Get().code, Code::kPermissionDenied);
  std::filesystem::remove_all(dir);
}

TEST_F(CallTest, WaitingOnTheIoThreadIsRefused) {
  RegisterEcho();
  Connect();
  Awaited<Result<std::string>> inner;
  client_->Call("test.Service", "Echo", "", kPatience,
                [&, inner](const Result<std::string>&) { inner.Set(Call("Echo", "deadlock")); });
  EXPECT_EQ(inner.Get().error().code, Code::kInternal);
}

}  // namespace
}  // namespace farlet::ttrpc
