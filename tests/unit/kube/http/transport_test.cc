#include "kube/http/transport.h"

#include "tests/fakes/apiserver/fake_http_server.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

namespace farlet::kube::http {
namespace {

using farlet::testing::FakeExchange;
using farlet::testing::FakeHttpServer;
using std::chrono::seconds;

std::unique_ptr<Transport> Connect(const FakeHttpServer& server) {
  auto transport = MakeTransport(server.url(), std::nullopt);
  EXPECT_TRUE(transport) << transport.error().message;
  return std::move(*transport);
}

Result<Response> Send(Transport& transport, Request request, SendOptions options = {}) {
  std::promise<Result<Response>> answer;
  transport.Send(std::move(request), options,
                 [&](Result<Response> result) { answer.set_value(std::move(result)); });
  return answer.get_future().get();
}

Result<Response> Get(Transport& transport, std::string target, SendOptions options = {}) {
  return Send(transport, {.method = "GET", .target = std::move(target)}, options);
}

// What a stream told, and waiting for it.
class Heard {
 public:
  StreamHandlers handlers() {
    return {.on_head = [this](const Response& head) { Note([&] { status_ = head.status; }); },
            .on_data = [this](std::string_view data) { Note([&] { text_ += data; }); },
            .on_end = [this](Status end) { Note([&] { end_ = std::move(end); }); }};
  }

  bool WaitFor(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(10), [&] { return text_ == text; });
  }

  Status WaitEnd() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, seconds(10), [&] { return end_.has_value(); })) {
      return Internal("the test waited in vain");
    }
    return *end_;
  }

  int status() {
    const std::lock_guard lock(mutex_);
    return status_;
  }

  bool ended() {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }

 private:
  template <class Change>
  void Note(const Change& change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  int status_ = 0;
  std::string text_;
  std::optional<Status> end_;
};

TEST(TransportTest, SendsMethodTargetHeadersAndBody) {
  FakeHttpServer server([](FakeExchange& exchange) {
    const auto& request = exchange.request();
    exchange.Respond(201,
                     request.method + " " + request.target + " " +
                         request.headers.at("content-type") + " " + request.headers.at("x-one") +
                         " " + request.body,
                     "text/plain", {{"Retry-After", "7"}});
  });
  const auto transport = Connect(server);
  const auto answer = Send(
      *transport, {.method = "PATCH",
                   .target = "/api/v1/a%2Fb?fieldSelector=spec.nodeName%3Dx%2Cy&w=a%20b",
                   .headers = {{"Content-Type", "application/merge-patch+json"}, {"X-One", "1"}},
                   .body = "{\"a\":\"ä\"}"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(FindHeader(answer->headers, "retry-after"), "7");
  EXPECT_EQ(answer->body,
            "PATCH /api/v1/a%2Fb?fieldSelector=spec.nodeName%3Dx%2Cy&w=a%20b "
            "application/merge-patch+json 1 {\"a\":\"ä\"}");
}

TEST(TransportTest, BodiesOfEveryKind) {
  const std::string large(3 << 20, 'x');
  FakeHttpServer server([&](FakeExchange& exchange) {
    const std::string& path = exchange.request().path;
    if (path == "/chunked") {
      exchange.StartStream(200);
      for (int i = 0; i < 3; ++i) {
        exchange.WriteChunk(std::string_view(large).substr(0, 1 << 20));
      }
      exchange.EndStream();
    } else if (path == "/until-close") {
      exchange.WriteRaw("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    } else if (path == "/empty") {
      exchange.Respond(204, "");
    } else {
      exchange.Respond(200, large);
    }
  });
  const auto transport = Connect(server);
  EXPECT_EQ(Get(*transport, "/length")->body, large);
  EXPECT_EQ(Get(*transport, "/chunked")->body, large);
  EXPECT_EQ(Get(*transport, "/until-close")->body, "until the end");
  EXPECT_EQ(Get(*transport, "/empty")->status, 204);
}

TEST(TransportTest, ConnectionIsKept) {
  FakeHttpServer server([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const auto transport = Connect(server);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Get(*transport, "/"));
  }
  EXPECT_EQ(server.accepted_connections(), 1);
}

TEST(TransportTest, DeadKeptConnectionIsReplaced) {
  FakeHttpServer server([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const auto transport = Connect(server);
  for (const bool reset : {false, true, false, true}) {
    ASSERT_TRUE(Get(*transport, "/"));
    server.DropConnections(reset);
    const auto answer =
        Send(*transport, {.method = "PUT", .target = "/", .body = std::string(1 << 20, 'x')});
    EXPECT_TRUE(answer) << answer.error().message;
  }
}

TEST(TransportTest, RestartedServerIsFoundAgain) {
  auto server =
      std::make_unique<FakeHttpServer>([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const int port = server->port();
  const auto transport = Connect(*server);
  ASSERT_TRUE(Get(*transport, "/"));
  server.reset();
  const auto refused = Get(*transport, "/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_EQ(refused.error().message, "connect: connection refused or host unreachable");
  FakeHttpServer again([](FakeExchange& exchange) { exchange.Respond(200, "{}"); }, std::nullopt,
                       port);
  EXPECT_TRUE(Get(*transport, "/"));
}

TEST(TransportTest, TruncatedAnswersAreErrors) {
  FakeHttpServer server([](FakeExchange& exchange) {
    const std::string& path = exchange.request().path;
    if (path == "/length") {
      exchange.WriteRaw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
    } else if (path == "/chunk") {
      exchange.WriteRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nshort");
    } else if (path == "/no-last-chunk") {
      exchange.WriteRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n");
    } else if (path == "/bad-chunk") {
      exchange.WriteRaw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n");
    } else if (path == "/no-http") {
      exchange.WriteRaw("SSH-2.0-OpenSSH\r\n\r\n");
    } else {
      exchange.Drop(path == "/reset");
    }
  });
  const auto transport = Connect(server);
  for (const char* path :
       {"/length", "/chunk", "/no-last-chunk", "/bad-chunk", "/no-http", "/drop", "/reset"}) {
    const auto answer = Get(*transport, path);
    ASSERT_FALSE(answer) << path;
    EXPECT_EQ(answer.error().code, Code::kUnavailable) << path << answer.error().message;
  }
}

TEST(TransportTest, TimeoutsAndLimits) {
  std::promise<void> over;
  auto wait = over.get_future().share();
  FakeHttpServer server([wait](FakeExchange& exchange) {
    if (exchange.request().path == "/trickle") {
      exchange.StartStream(200);
      while (exchange.WriteChunk("x") && !exchange.WaitClosed(milliseconds(5))) {
      }
    } else if (exchange.request().path == "/silent") {
      exchange.WaitClosed(seconds(20));
    } else {
      exchange.Respond(200, std::string(1001, 'x'));
    }
  });
  const auto transport = Connect(server);
  for (const char* path : {"/silent", "/trickle"}) {
    const auto late = Get(*transport, path, {.timeout = milliseconds(100)});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::kDeadlineExceeded);
    EXPECT_EQ(late.error().message, "no answer within 100ms");
  }
  EXPECT_TRUE(Get(*transport, "/body", {.max_body = 1001}));
  const auto longer = Get(*transport, "/body", {.max_body = 1000});
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, Code::kResourceExhausted);
}

TEST(TransportTest, RedirectsAreNotFollowed) {
  FakeHttpServer server([](FakeExchange& exchange) {
    exchange.Respond(302, "", "text/plain", {{"Location", "/elsewhere"}});
  });
  const auto transport = Connect(server);
  EXPECT_EQ(Get(*transport, "/")->status, 302);
  EXPECT_EQ(server.requests(), 1);
}

TEST(TransportTest, MalformedRequestsAreRefused) {
  FakeHttpServer server([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const auto transport = Connect(server);
  for (const Request& request :
       {Request{.method = "GET", .target = "/a b"}, Request{.method = "GET", .target = "no-slash"},
        Request{.method = "GET\r\n", .target = "/"},
        Request{
            .method = "GET", .target = "/", .headers = {{"Authorization", "Bearer a\r\nX: y"}}}}) {
    const auto answer = Send(*transport, request);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kInvalidArgument);
  }
  EXPECT_EQ(server.requests(), 0);
}

TEST(TransportTest, MalformedServerAddresses) {
  for (const char* url : {"", "127.0.0.1:6443", "ftp://host", "https://", "https://[::1]:6443",
                          "https://host?x=1", "https://user@host", "https://ho st"}) {
    const auto transport = MakeTransport(url, TlsConfig{});
    ASSERT_FALSE(transport) << url;
    EXPECT_EQ(transport.error().code, Code::kInvalidArgument) << url;
  }
}

TEST(TransportTest, ServerPathIsKept) {
  FakeHttpServer server(
      [](FakeExchange& exchange) { exchange.Respond(200, exchange.request().target); });
  for (const char* path : {"/k8s/clusters/c-1", "/k8s/clusters/c-1/"}) {
    const auto transport = MakeTransport(server.url() + path, std::nullopt);
    EXPECT_EQ(Get(**transport, "/api?a=b")->body, "/k8s/clusters/c-1/api?a=b");
  }
}

TEST(StreamTest, DeliversChunksAsTheyArrive) {
  std::promise<void> first_seen;
  FakeHttpServer server([&](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk("one");
    first_seen.get_future().wait();
    exchange.WriteChunk("two");
    exchange.EndStream();
  });
  const auto transport = Connect(server);
  Heard heard;
  const auto stream = transport->OpenStream({.method = "GET", .target = "/"}, {}, heard.handlers());
  ASSERT_TRUE(heard.WaitFor("one"));
  EXPECT_EQ(heard.status(), 200);
  first_seen.set_value();
  ASSERT_TRUE(heard.WaitFor("onetwo"));
  EXPECT_TRUE(heard.WaitEnd());
}

TEST(StreamTest, SilenceEndsItAndBytesKeepIt) {
  FakeHttpServer server([](FakeExchange& exchange) {
    exchange.StartStream(200);
    for (int i = 0; i < 6; ++i) {
      exchange.WaitClosed(milliseconds(100));
      exchange.WriteChunk("x");
    }
    exchange.WaitClosed(seconds(20));
  });
  const auto transport = Connect(server);
  Heard heard;
  const auto stream = transport->OpenStream({.method = "GET", .target = "/"},
                                            {.silence = milliseconds(400)}, heard.handlers());
  const Status end = heard.WaitEnd();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(end.error().message, "nothing heard for 400ms");
  EXPECT_TRUE(heard.WaitFor("xxxxxx"));
}

TEST(StreamTest, NoHeadersInTime) {
  FakeHttpServer server([](FakeExchange& exchange) { exchange.WaitClosed(seconds(20)); });
  const auto transport = Connect(server);
  Heard heard;
  const auto stream = transport->OpenStream({.method = "GET", .target = "/"},
                                            {.open_timeout = milliseconds(50)}, heard.handlers());
  EXPECT_EQ(heard.WaitEnd().error().message, "no answer within 50ms");
}

TEST(StreamTest, DestroyingItClosesTheConnectionAndSilencesIt) {
  std::promise<bool> closed;
  FakeHttpServer server([&](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk("one");
    closed.set_value(exchange.WaitClosed(seconds(10)));
  });
  const auto transport = Connect(server);
  Heard heard;
  auto stream = transport->OpenStream({.method = "GET", .target = "/"}, {}, heard.handlers());
  ASSERT_TRUE(heard.WaitFor("one"));
  stream.reset();
  EXPECT_TRUE(closed.get_future().get());
  EXPECT_FALSE(heard.ended());
}

TEST(StreamTest, MayBeDestroyedFromItsOwnHandler) {
  FakeHttpServer server([&](FakeExchange& exchange) {
    exchange.StartStream(200);
    exchange.WriteChunk("one");
    exchange.WaitClosed(seconds(10));
  });
  const auto transport = Connect(server);
  std::promise<void> destroyed;
  std::mutex mutex;  // guards stream
  std::unique_ptr<Stream> stream;
  {
    const std::lock_guard lock(mutex);
    stream = transport->OpenStream(
        {.method = "GET", .target = "/"}, {},
        {.on_head = [](const Response&) {},
         .on_data =
             [&](std::string_view) {
               const std::lock_guard handler_lock(mutex);
               stream.reset();
               destroyed.set_value();
             },
         .on_end = [](Status) { ADD_FAILURE() << "told of the end after its destruction"; }});
  }
  destroyed.get_future().wait();
}

TEST(TransportTest, DestructionCancelsWhatIsInFlight) {
  FakeHttpServer server([](FakeExchange& exchange) { exchange.WaitClosed(seconds(20)); });
  auto transport = Connect(server);
  std::promise<Result<Response>> answer;
  Heard heard;
  transport->Send({.method = "GET", .target = "/"}, {},
                  [&](Result<Response> result) { answer.set_value(std::move(result)); });
  const auto stream = transport->OpenStream({.method = "GET", .target = "/"}, {}, heard.handlers());
  transport.reset();
  EXPECT_TRUE(heard.ended());
  EXPECT_EQ(heard.WaitEnd().error().code, Code::kCancelled);
  EXPECT_EQ(answer.get_future().get().error().code, Code::kCancelled);
}

}  // namespace
}  // namespace farlet::kube::http
