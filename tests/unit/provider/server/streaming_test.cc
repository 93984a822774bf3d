#include "provider/server/upstream_request.h"
#include "tests/unit/provider/server/server_fixture.h"
#include "tests/unit/provider/server/streaming_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace farlet::server::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kUpgrade =
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
    "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
    "X-Stream-Protocol-Version: v3.channel.k8s.io\r\n"
    "Authorization: Bearer secret\r\nCookie: secret\r\nX-Forwarded-For: 10.0.0.1\r\n";
constexpr std::string_view kExec = "/exec/ns/web-0/app?command=sh&command=-c&command=a+b&output=1";

class StreamingTest : public ServerTest {
 protected:
  // Serves exec, attach and port-forward with `serve`.
  void Serve(std::function<void(ServedConnection&)> serve) {
    upstream_ = std::make_unique<StreamingServer>(std::move(serve));
    url_ = upstream_->Url("/exec/token");
    const auto stream = [this](const StreamRequest& request, Callback<std::string> done) {
      stream_request_ = request;
      done(url_);
    };
    handlers_.exec_url = stream;
    handlers_.attach_url = stream;
    handlers_.port_forward_url = [this](const PortForwardRequest& request,
                                        Callback<std::string> done) {
      forward_request_ = request;
      done(url_);
    };
    Start();
  }

  void TearDown() override { server_.reset(); }

  std::unique_ptr<StreamingServer> upstream_;
  std::string url_;
  StreamRequest stream_request_;
  PortForwardRequest forward_request_;
};

TEST_F(StreamingTest, ForwardsTheUpgradeAndSplices) {
  std::promise<std::string> head;
  Serve([&](ServedConnection& served) {
    head.set_value(served.ReadHead());
    served.Send(kSwitched);
    served.Send("hello " + served.ReadBytes(5));
    EXPECT_EQ(served.ReadToEnd(), "");
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  const std::string answer = client->ReadUntil("\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Stream-Protocol-Version: v4.channel.k8s.io\r\n"));
  client->Send("world");
  EXPECT_EQ(client->ReadBytes(11), "hello world");
  client.reset();
  const std::string request = head.get_future().get();
  EXPECT_THAT(request, HasSubstr("GET /exec/token HTTP/1.1\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(request, HasSubstr("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"));
  EXPECT_THAT(request, HasSubstr("v4.channel.k8s.io"));
  EXPECT_THAT(request, HasSubstr("v3.channel.k8s.io"));
  EXPECT_THAT(request, Not(HasSubstr("secret")));
  EXPECT_THAT(request, Not(HasSubstr("10.0.0.1")));
  EXPECT_THAT(stream_request_.command, ElementsAre("sh", "-c", "a b"));
  EXPECT_TRUE(stream_request_.out);
  EXPECT_FALSE(stream_request_.in || stream_request_.err || stream_request_.tty);
  EXPECT_EQ(stream_request_.container.container, "app");
}

TEST_F(StreamingTest, ForwardsEarlyBytesBothWays) {
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(std::string(kSwitched) + "early from the server");
    EXPECT_EQ(served.ReadBytes(21), "early from the client");
  });
  auto client = Connect();
  client->Send("POST " + std::string(kExec) + " HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n" +
               std::string(kUpgrade) + "\r\nearly from the client");
  client->ReadUntil("\r\n\r\n");
  EXPECT_EQ(client->ReadBytes(21), "early from the server");
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(StreamingTest, PassesRefusalsBack) {
  Serve([](ServedConnection& served) {
    const std::string head = served.ReadHead();
    if (head.find("chunked") != std::string::npos) {
      served.Send(
          "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnone \r\n4\r\nhere\r\n"
          "0\r\n\r\n");
    } else if (head.find("strange") != std::string::npos) {
      served.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    } else if (head.find("nonsense") != std::string::npos) {
      served.Send("220 mail server ready\r\n\r\n");
    } else {
      served.Send(
          "HTTP/1.1 403 Forbidden\r\nContent-Type: text/x\r\nContent-Length: 2\r\n\r\nno and more");
    }
  });
  auto client = Connect();
  HttpAnswer answer = client->Fetch(kExec, kUpgrade);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, "no");
  EXPECT_EQ(answer.headers.at("content-type"), "text/x");
  EXPECT_EQ(answer.headers.at("connection"), "close");
  EXPECT_TRUE(client->AtEnd());
  answer = Fetch(kExec, std::string(kUpgrade) + "User-Agent: chunked\r\n");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "none here");
  answer = Fetch(kExec, std::string(kUpgrade) + "User-Agent: strange\r\n");
  EXPECT_EQ(answer.status, 502);
  EXPECT_THAT(answer.body, HasSubstr("invalid upgrade response: status code 200"));
  EXPECT_EQ(Fetch(kExec, std::string(kUpgrade) + "User-Agent: nonsense\r\n").status, 502);
}

TEST_F(StreamingTest, SaysWhenTheServerIsNotThere) {
  options_.timeouts.upstream = std::chrono::milliseconds(100);
  Serve([](ServedConnection& served) { served.ReadToEnd(); });
  EXPECT_EQ(Fetch(kExec, kUpgrade).status, 504);
  url_ = "http://127.0.0.1:1/token";
  EXPECT_EQ(Fetch(kExec, kUpgrade).status, 502);
  url_ = "http://192.0.2.1:80/token";
  EXPECT_EQ(Fetch(kExec, kUpgrade).status, 500);
  // The connection stays usable after an error.
  auto client = Connect();
  EXPECT_EQ(client->Fetch(kExec, kUpgrade).status, 500);
  EXPECT_EQ(client->Fetch("/healthz").status, 200);
}

TEST_F(StreamingTest, RefusesWhatIsNoUpgrade) {
  Serve([](ServedConnection& served) { served.ReadToEnd(); });

  struct Case {
    std::string_view target;
    std::string_view headers;
    std::string_view body;
  };

  constexpr std::string_view kWebSocket =
      "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
  for (const Case& c : {
           Case{kExec, "", "Upgrade request required"},
           {kExec, "Upgrade: SPDY/3.1\r\n", "Upgrade request required"},
           {kExec, "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Upgrade request required"},
           {"/attach/ns/web-0/app?output=1", "", "Upgrade request required"},
           {"/portForward/ns/web-0", "", "Upgrade request required"},
           {"/exec/ns/web-0/app?command=sh", kUpgrade,
            "you must specify at least 1 of stdin, stdout, stderr"},
           {"/exec/ns/web-0/app?output=1", kUpgrade, "query parameter \"command\" is required"},
           {"/attach/ns/web-0/app?tty=1&error=1", kUpgrade,
            "you must specify at least 1 of stdin, stdout, stderr"},
           {"/portForward/ns/web-0", kWebSocket, "query parameter \"port\" is required"},
           {"/portForward/ns/web-0?port=80,x", kWebSocket, "unable to parse \"80,x\" as a port"},
           {"/portForward/ns/web-0?port=0", kWebSocket, "unable to parse \"0\" as a port"},
           {"/portForward/ns/web-0?port=65536", kWebSocket, "unable to parse \"65536\" as a port"},
       }) {
    const HttpAnswer answer = Fetch(c.target, c.headers);
    EXPECT_EQ(answer.status, 400) << c.target;
    EXPECT_EQ(answer.body, c.body) << c.target;
  }
}

TEST_F(StreamingTest, ParsesTheOtherStreams) {
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
  });
  Fetch("/attach/ns/web-0/uid-1/app?input=1&output=1&error=1&tty=1", kUpgrade);
  EXPECT_EQ(stream_request_.container.uid, "uid-1");
  EXPECT_TRUE(stream_request_.in && stream_request_.out && stream_request_.tty);
  EXPECT_FALSE(stream_request_.err);
  Fetch("/portForward/ns/web-0/uid-2?port=80,443&port=8080",
        "Connection: upgrade\r\nUpgrade: WebSocket\r\n");
  EXPECT_EQ(forward_request_.uid, "uid-2");
  EXPECT_EQ(forward_request_.pod, "web-0");
  EXPECT_THAT(forward_request_.ports, ElementsAre(80, 443, 8080));
}

TEST_F(StreamingTest, RunAnswersWithTheOutput) {
  handlers_.run = [](const StreamRequest& request, Callback<std::string> done) {
    done(request.command.size() == 3 ? Result<std::string>(request.command[2])
                                     : Result<std::string>(Internal("exit code 1")));
  };
  Start();
  auto client = Connect();
  client->Send("POST /run/ns/web-0/app?cmd=a%20b+c HTTP/1.1\r\nHost: n\r\n\r\n");
  EXPECT_EQ(client->Read().body, "c");
  client->Send("POST /run/ns/web-0/app?cmd=a HTTP/1.1\r\nHost: n\r\n\r\n");
  EXPECT_EQ(client->Read().status, 500);
  client->Send("POST /run/ns/web-0/app HTTP/1.1\r\nHost: n\r\n\r\n");
  EXPECT_EQ(client->Read().status, 400);
}

TEST_F(StreamingTest, PassesResetsOn) {
  std::promise<bool> ended;
  std::atomic<int> count{0};
  Serve([&](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    if (count++ == 0) {
      served.ReadBytes(1);
      served.Reset();
      return;
    }
    served.ReadToEnd();
    ended.set_value(true);
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  client->ReadUntil("\r\n\r\n");
  client->Send("x");
  EXPECT_TRUE(client->AtEnd());
  auto second = Connect();
  second->Get(kExec, kUpgrade);
  second->ReadUntil("\r\n\r\n");
  second->Reset();
  EXPECT_TRUE(ended.get_future().get());
}

TEST_F(StreamingTest, AClientThatHasSaidAllStillListens) {
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    served.Send("got " + served.ReadToEnd());
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  client->ReadUntil("\r\n\r\n");
  client->Send("everything");
  client->HalfClose();
  EXPECT_EQ(client->ReadBytes(14), "got everything");
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(StreamingTest, EndsIdleSessions) {
  options_.timeouts.stream_idle = std::chrono::milliseconds(1000);
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    for (int i = 0; i < 4; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      served.Send("x");
    }
    EXPECT_EQ(served.ReadToEnd(), "");
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  client->ReadUntil("\r\n\r\n");
  EXPECT_EQ(client->ReadBytes(5), "xxxx");
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(StreamingTest, CarriesMuchDataWithSlowSidesInBoundedMemory) {
  constexpr size_t kSize = 64u << 20;
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    const std::string block(1 << 20, 'd');
    for (size_t sent = 0; sent < kSize; sent += block.size()) {
      served.Send(block);
    }
    served.Send(served.ReadBytes(3));
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  client->ReadUntil("\r\n\r\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  client->Send("end");
  size_t size = 0;
  while (size < kSize) {
    const std::string block = client->ReadBytes(std::min<size_t>(kSize - size, 1 << 20));
    ASSERT_FALSE(block.empty());
    ASSERT_EQ(block.find_first_not_of('d'), std::string::npos);
    size += block.size();
  }
  EXPECT_EQ(client->ReadBytes(10), "end");
}

TEST_F(StreamingTest, CarriesManySessionsAtOnce) {
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    for (int i = 0; i < 10; ++i) {
      served.Send(served.ReadBytes(4));
    }
  });
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(Connect());
    clients.back()->Get(kExec, kUpgrade);
  }
  for (int round = 0; round < 10; ++round) {
    for (auto& client : clients) {
      client->Send("ping");
    }
    for (auto& client : clients) {
      if (round == 0) {
        client->ReadUntil("\r\n\r\n");
      }
      ASSERT_EQ(client->ReadBytes(4), "ping");
    }
  }
}

TEST_F(StreamingTest, StoppingEndsSessions) {
  Serve([](ServedConnection& served) {
    served.ReadHead();
    served.Send(kSwitched);
    served.ReadToEnd();
  });
  auto client = Connect();
  client->Get(kExec, kUpgrade);
  client->ReadUntil("\r\n\r\n");
  server_.reset();
  EXPECT_TRUE(client->AtEnd());
}

TEST(StreamingUrlTest, TakesWhatMayBeDialled) {
  const auto url = ParseStreamingUrl("http://127.0.0.1:4321/exec/abc?x=1", "");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->address, "127.0.0.1");
  EXPECT_EQ(url->port, 4321);
  EXPECT_EQ(url->target, "/exec/abc?x=1");
  EXPECT_EQ(url->host, "127.0.0.1:4321");
  EXPECT_TRUE(ParseStreamingUrl("http://[::1]:80/x", ""));
  EXPECT_TRUE(ParseStreamingUrl("http://localhost:80/x", ""));
  EXPECT_TRUE(ParseStreamingUrl("http://10.0.0.5:80/x", "10.0.0.5"));
  EXPECT_EQ(ParseStreamingUrl("http://127.0.0.1:80", "")->target, "/");
  for (const std::string& bad : std::vector<std::string>{
           "", "https://127.0.0.1:80/x", "http://10.0.0.5:80/x", "http://example.com:80/x",
           "http://127.0.0.1/x", "http://127.0.0.1:0/x", "http://127.0.0.1:99999/x",
           "http://127.0.0.1:80/a b", "http://127.0.0.1:80/a\r\nX: y", "http://user@127.0.0.1:80/x",
           "http://127.0.0.1:80/" + std::string(9000, 'x')}) {
    EXPECT_FALSE(ParseStreamingUrl(bad, "")) << bad.substr(0, 60);
  }
}

}  // namespace
}  // namespace farlet::server::testing
