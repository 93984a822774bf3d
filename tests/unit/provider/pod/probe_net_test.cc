#include "provider/pod/probe_net.h"

#include "tests/fakes/apiserver/fake_http_server.h"
#include "tests/fakes/apiserver/fake_http_server_ca.h"

#include <gtest/gtest.h>

#include <future>
#include <string>
#include <utility>

namespace farlet::pod {
namespace {

using testing::FakeExchange;
using testing::FakeHttpServer;
using Kind = ProbeOutcome::Kind;

class ProbeNetTest : public ::testing::Test {
 protected:
  static HttpProbeRequest To(const FakeHttpServer& server, const std::string& path) {
    return {.host = "127.0.0.1", .port = static_cast<uint16_t>(server.port()), .path = path};
  }

  ProbeOutcome Http(const HttpProbeRequest& request) {
    std::promise<ProbeOutcome> promise;
    net_->Http(request, [&](ProbeOutcome outcome) { promise.set_value(std::move(outcome)); });
    return promise.get_future().get();
  }

  ProbeOutcome Tcp(uint16_t port) {
    std::promise<ProbeOutcome> promise;
    net_->Tcp("127.0.0.1", port, seconds(1),
              [&](ProbeOutcome outcome) { promise.set_value(std::move(outcome)); });
    return promise.get_future().get();
  }

  std::unique_ptr<NetProber> net_ = MakeNetProber("1.37");
};

TEST_F(ProbeNetTest, StatusDecides) {
  int status = 200;
  FakeHttpServer server([&](FakeExchange& exchange) { exchange.Respond(status, "body"); });
  for (const auto& [code, kind] :
       {std::pair{200, Kind::kSuccess}, std::pair{399, Kind::kSuccess},
        std::pair{400, Kind::kFailure}, std::pair{503, Kind::kFailure}}) {
    status = code;
    const ProbeOutcome outcome = Http(To(server, "/"));
    EXPECT_EQ(outcome.kind, kind) << code;
    if (kind == Kind::kFailure) {
      EXPECT_EQ(outcome.text, "HTTP probe failed with statuscode: " + std::to_string(code));
    }
  }
}

TEST_F(ProbeNetTest, Headers) {
  testing::FakeRequest seen;
  FakeHttpServer server([&](FakeExchange& exchange) {
    seen = exchange.request();
    exchange.Respond(200, "");
  });
  HttpProbeRequest request = To(server, "/a?b=c");
  Http(request);
  EXPECT_EQ(seen.target, "/a?b=c");
  EXPECT_EQ(seen.headers.at("user-agent"), "kube-probe/1.37");
  EXPECT_EQ(seen.headers.at("accept"), "*/*");
  request.headers = {{"Host", "web"}, {"X-A", "1"}, {"Accept", ""}};
  Http(request);
  EXPECT_EQ(seen.headers.at("host"), "web");
  EXPECT_EQ(seen.headers.at("x-a"), "1");
  EXPECT_FALSE(seen.headers.contains("accept"));
}

TEST_F(ProbeNetTest, RedirectsWithinTheHost) {
  FakeHttpServer server([&](FakeExchange& exchange) {
    const std::string& path = exchange.request().path;
    if (path == "/") {
      exchange.Respond(302, "", "text/plain", {{"Location", "/next"}});
    } else if (path == "/loop") {
      exchange.Respond(302, "", "text/plain", {{"Location", "/loop"}});
    } else if (path == "/away") {
      exchange.Respond(302, "bye", "text/plain", {{"Location", "http://example.com/"}});
    } else {
      exchange.Respond(500, "");
    }
  });
  EXPECT_EQ(Http(To(server, "/")).text, "HTTP probe failed with statuscode: 500");
  EXPECT_EQ(Http(To(server, "/loop")).kind, Kind::kFailure);
  const ProbeOutcome away = Http(To(server, "/away"));
  EXPECT_EQ(away.kind, Kind::kWarning);
  EXPECT_EQ(away.text, "Probe terminated redirects, Response body: bye");
}

TEST_F(ProbeNetTest, TimeoutAndBrokenAnswers) {
  FakeHttpServer server([&](FakeExchange& exchange) {
    if (exchange.request().path == "/slow") {
      exchange.WaitClosed(seconds(5));
    } else {
      exchange.Drop();
    }
  });
  HttpProbeRequest slow = To(server, "/slow");
  slow.timeout = milliseconds(100);
  const std::string url = "Get \"http://127.0.0.1:" + std::to_string(server.port());
  EXPECT_EQ(Http(slow).text,
            url +
                "/slow\": context deadline exceeded (Client.Timeout exceeded while awaiting "
                "headers)");
  EXPECT_EQ(Http(To(server, "/drop")).text, url + "/drop\": EOF");
}

TEST_F(ProbeNetTest, BodyThatNeverEndsIsEnough) {
  FakeHttpServer server([&](FakeExchange& exchange) {
    exchange.StartStream(200, "text/plain");
    exchange.WriteChunk(std::string(20'000, 'x'));
    exchange.WaitClosed(seconds(5));
  });
  EXPECT_EQ(Http(To(server, "/")).kind, Kind::kSuccess);
}

TEST_F(ProbeNetTest, CertificatesAreNotVerified) {
  const testing::FakeCa ca;
  const testing::FakeCertificate own = ca.Issue({});
  FakeHttpServer server(
      [](FakeExchange& exchange) { exchange.Respond(200, "ok"); },
      testing::FakeTlsOptions{.certificate_pem = own.certificate_pem, .key_pem = own.key_pem});
  HttpProbeRequest request = To(server, "/");
  request.tls = true;
  EXPECT_EQ(Http(request).kind, Kind::kSuccess);
}

TEST_F(ProbeNetTest, NobodyListens) {
  int port = 0;
  {
    const FakeHttpServer server([](FakeExchange&) {});
    port = server.port();
  }
  const auto free_port = static_cast<uint16_t>(port);
  const std::string address = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(
      Http({.host = "127.0.0.1", .port = free_port, .path = "/"}).text,
      "Get \"http://" + address + "/\": dial tcp " + address + ": connect: connection refused");
  const ProbeOutcome tcp = Tcp(free_port);
  EXPECT_EQ(tcp.kind, Kind::kFailure);
  EXPECT_EQ(tcp.text, "dial tcp " + address + ": connect: connection refused");
}

TEST_F(ProbeNetTest, TcpConnects) {
  const FakeHttpServer server([](FakeExchange&) {});
  EXPECT_EQ(Tcp(static_cast<uint16_t>(server.port())).kind, Kind::kSuccess);
}

}  // namespace
}  // namespace farlet::pod
