#include "kube/http/transport.h"
#include "tests/fakes/apiserver/fake_http_server.h"
#include "tests/fakes/apiserver/fake_http_server_ca.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <future>

namespace farlet::kube::http {
namespace {

using farlet::testing::FakeCa;
using farlet::testing::FakeCertificate;
using farlet::testing::FakeCertificateOptions;
using farlet::testing::FakeExchange;
using farlet::testing::FakeHttpServer;
using farlet::testing::FakeTlsOptions;

class TransportTlsTest : public ::testing::Test {
 protected:
  std::unique_ptr<FakeHttpServer> Serve(const FakeCertificateOptions& options,
                                        bool require_client = false) {
    const FakeCertificate certificate = ca_.Issue(options);
    return std::make_unique<FakeHttpServer>(
        [](FakeExchange& exchange) {
          exchange.Respond(200,
                           exchange.request().client_common_name + "/" + exchange.request().sni);
        },
        FakeTlsOptions{.certificate_pem = certificate.certificate_pem,
                       .key_pem = certificate.key_pem,
                       .client_ca_pem = ca_.certificate_pem(),
                       .require_client_certificate = require_client});
  }

  static Result<Response> Get(Transport& transport) {
    std::promise<Result<Response>> answer;
    transport.Send({.method = "GET", .target = "/"}, {},
                   [&](Result<Response> result) { answer.set_value(std::move(result)); });
    return answer.get_future().get();
  }

  static Result<Response> Get(const std::string& url, const TlsConfig& tls) {
    const auto transport = MakeTransport(url, tls);
    EXPECT_TRUE(transport) << transport.error().message;
    return Get(**transport);
  }

  std::string ByName(const FakeHttpServer& server) {
    return "https://localhost:" + std::to_string(server.port());
  }

  void ExpectRefused(const Result<Response>& answer, const std::string& reason) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::kUnauthenticated);
    EXPECT_FALSE(answer.error().retryable);
    EXPECT_EQ(answer.error().message, "tls: server certificate: " + reason);
  }

  FakeCa ca_;
};

TEST_F(TransportTlsTest, ServerAddressedByIpAndByName) {
  const auto server = Serve({.dns_names = {"localhost"}, .ip_addresses = {"127.0.0.1"}});
  const auto by_ip = Get(server->url(), {.ca_pem = ca_.certificate_pem()});
  ASSERT_TRUE(by_ip) << by_ip.error().message;
  EXPECT_EQ(by_ip->body, "/");  // no address in SNI
  const auto by_name = Get(ByName(*server), {.ca_pem = ca_.certificate_pem()});
  ASSERT_TRUE(by_name) << by_name.error().message;
  EXPECT_EQ(by_name->body, "/localhost");
}

TEST_F(TransportTlsTest, WrongNamesAreRefused) {
  const auto other = Serve({.common_name = "127.0.0.1",
                            .dns_names = {"kubernetes", "127.0.0.1"},
                            .ip_addresses = {"10.0.0.1"}});
  ExpectRefused(Get(other->url(), {.ca_pem = ca_.certificate_pem()}),
                "IP address mismatch (certificate is not for 127.0.0.1)");
  ExpectRefused(Get(ByName(*other), {.ca_pem = ca_.certificate_pem()}),
                "hostname mismatch (certificate is not for localhost)");
  const auto only_common_name = Serve({.common_name = "localhost"});
  ExpectRefused(Get(ByName(*only_common_name), {.ca_pem = ca_.certificate_pem()}),
                "hostname mismatch (certificate is not for localhost)");
}

TEST_F(TransportTlsTest, ServerNameOverridesTheHost) {
  const auto server = Serve({.dns_names = {"kubernetes"}});
  const auto answer =
      Get(server->url(), {.ca_pem = ca_.certificate_pem(), .server_name = "kubernetes"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "/kubernetes");
  ExpectRefused(Get(server->url(), {.ca_pem = ca_.certificate_pem(), .server_name = "other"}),
                "hostname mismatch (certificate is not for other)");
}

TEST_F(TransportTlsTest, UntrustedCertificatesAreRefused) {
  const FakeCa other_ca("other");
  const auto server = Serve({.ip_addresses = {"127.0.0.1"}});
  ExpectRefused(Get(server->url(), {.ca_pem = other_ca.certificate_pem()}),
                "self-signed certificate in certificate chain");
  ExpectRefused(Get(server->url(), {}), "self-signed certificate in certificate chain");
  const auto expired = Serve({.ip_addresses = {"127.0.0.1"},
                              .not_before = std::chrono::hours(-2),
                              .not_after = std::chrono::hours(-1)});
  ExpectRefused(Get(expired->url(), {.ca_pem = ca_.certificate_pem()}), "certificate has expired");
  const auto future = Serve({.ip_addresses = {"127.0.0.1"},
                             .not_before = std::chrono::hours(1),
                             .not_after = std::chrono::hours(2)});
  ExpectRefused(Get(future->url(), {.ca_pem = ca_.certificate_pem()}),
                "certificate is not yet valid");
}

TEST_F(TransportTlsTest, PlainHttpBehindHttpsIsAnError) {
  FakeHttpServer plain([](FakeExchange& exchange) { exchange.Respond(200, "{}"); });
  const auto answer = Get("https://127.0.0.1:" + std::to_string(plain.port()), {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message.substr(0, 14), "tls handshake:");
}

TEST_F(TransportTlsTest, ClientCertificates) {
  const auto server = Serve({.ip_addresses = {"127.0.0.1"}}, true);
  const FakeCertificate ours = ca_.Issue({.common_name = "system:node:a"});
  const auto answer = Get(server->url(), {.ca_pem = ca_.certificate_pem(),
                                          .certificate_pem = ours.certificate_pem,
                                          .key_pem = ours.key_pem});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "system:node:a/");
  const auto without = Get(server->url(), {.ca_pem = ca_.certificate_pem()});
  ASSERT_FALSE(without);
}

TEST_F(TransportTlsTest, NewClientCertificateIsUsedForNewConnections) {
  const auto server = Serve({.ip_addresses = {"127.0.0.1"}});
  const FakeCertificate first = ca_.Issue({.common_name = "first"});
  const FakeCertificate second = ca_.Issue({.common_name = "second"});
  TlsConfig tls{.ca_pem = ca_.certificate_pem(),
                .certificate_pem = first.certificate_pem,
                .key_pem = first.key_pem};
  const auto transport = MakeTransport(server->url(), tls);
  EXPECT_EQ(Get(**transport)->body, "first/");
  tls.certificate_pem = second.certificate_pem;
  const Status mismatch = (*transport)->SetTls(tls);
  ASSERT_FALSE(mismatch);
  EXPECT_EQ(mismatch.error().message, "client key: does not belong to the client certificate");
  EXPECT_EQ(Get(**transport)->body, "first/");
  tls.key_pem = second.key_pem;
  ASSERT_TRUE((*transport)->SetTls(tls));
  EXPECT_EQ(Get(**transport)->body, "second/");
  EXPECT_EQ(server->accepted_connections(), 2);
}

TEST_F(TransportTlsTest, MalformedMaterial) {
  const FakeCertificate ours = ca_.Issue({});
  EXPECT_EQ(MakeTransport("https://a", TlsConfig{.ca_pem = "x"}).error().message,
            "CA certificate: not a PEM certificate");
  std::string broken = ca_.certificate_pem();
  broken.insert(200, "!");
  EXPECT_EQ(MakeTransport("https://a", TlsConfig{.ca_pem = ca_.certificate_pem() + broken})
                .error()
                .message,
            "CA certificate: not a PEM certificate");
  EXPECT_EQ(MakeTransport("https://a", TlsConfig{.certificate_pem = ours.key_pem}).error().message,
            "client certificate: not a PEM certificate");
  EXPECT_EQ(MakeTransport("https://a", TlsConfig{.certificate_pem = ours.certificate_pem})
                .error()
                .message,
            "client key: not an unencrypted PEM private key");
}

TEST_F(TransportTlsTest, DeadKeptConnectionIsReplaced) {
  const auto server = Serve({.ip_addresses = {"127.0.0.1"}});
  const auto transport = MakeTransport(server->url(), TlsConfig{.ca_pem = ca_.certificate_pem()});
  for (const bool reset : {false, true, false, true}) {
    ASSERT_TRUE(Get(**transport));
    server->DropConnections(reset);
    const auto answer = Get(**transport);
    EXPECT_TRUE(answer) << answer.error().message;
  }
}

}  // namespace
}  // namespace farlet::kube::http
