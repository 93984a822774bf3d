// The client from a kubeconfig to a TLS server, through a rotation of its certificate.
#include "kube/client/make_client.h"
#include "runtime/base/file.h"
#include "tests/fakes/apiserver/fake_http_server.h"
#include "tests/fakes/apiserver/fake_http_server_ca.h"
#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>

#include <stdlib.h>

#include <filesystem>
#include <future>

namespace farlet::kube {
namespace {

using farlet::testing::FakeCa;
using farlet::testing::FakeClock;
using farlet::testing::FakeExchange;
using farlet::testing::FakeHttpServer;
using farlet::testing::FakeTlsOptions;

class ClientTlsTest : public ::testing::Test {
 protected:
  ClientTlsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "kube-client-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    const auto serving = ca_.Issue({.ip_addresses = {"127.0.0.1"}});
    server_ = std::make_unique<FakeHttpServer>(
        [](FakeExchange& exchange) {
          const auto& request = exchange.request();
          if (request.query.count("watch") != 0) {
            exchange.StartStream(200);
            exchange.WriteChunk("{\"type\":\"ADDED\",\"object\":{}}\n");
            exchange.WaitClosed(seconds(30));
          } else {
            exchange.Respond(200, Json{{"name", request.client_common_name}}.dump());
          }
        },
        FakeTlsOptions{.certificate_pem = serving.certificate_pem,
                       .key_pem = serving.key_pem,
                       .client_ca_pem = ca_.certificate_pem(),
                       .require_client_certificate = true});
  }

  ~ClientTlsTest() override { std::filesystem::remove_all(folder_); }

  void WriteClientPem(const std::string& common_name) {
    const auto issued = ca_.Issue({.common_name = common_name});
    ASSERT_TRUE(
        WriteFileAtomic(folder_ / "client.pem", issued.certificate_pem + issued.key_pem, 0600));
  }

  Result<ClusterAccess> Access(const std::string& ca_pem) {
    EXPECT_TRUE(WriteFileAtomic(folder_ / "config",
                                FormatKubeconfig(server_->url(), ca_pem, "client.pem"), 0600));
    return LoadKubeconfig(folder_ / "config", file_clock_);
  }

  static Result<Json> Get(Client& client) {
    return Await<Json>(
        [&](Callback<Json> done) { client.Get("/x", {}, {.retry = false}, std::move(done)); });
  }

  FakeClock file_clock_;
  RealClock clock_;
  TimerService timers_{clock_};
  FakeCa ca_;
  std::filesystem::path folder_;
  std::unique_ptr<FakeHttpServer> server_;
};

TEST_F(ClientTlsTest, RotatedCertificateIsUsedAndOldConnectionsGoOn) {
  WriteClientPem("first");
  const auto access = Access(ca_.certificate_pem());
  ASSERT_TRUE(access) << access.error().message;
  const auto client = MakeClient(*access, clock_, timers_).value();
  const auto first = Get(*client);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ((*first)["name"], "first");
  std::promise<void> watching;
  std::atomic<bool> ended{false};
  const auto watch = client->Watch("/x", {},
                                   {.on_event = [&](const Json&) { watching.set_value(); },
                                    .on_end = [&](const Status&) { ended = true; }});
  watching.get_future().wait();

  WriteClientPem("second");
  file_clock_.Advance(seconds(1));
  EXPECT_EQ((*Get(*client))["name"], "second");
  EXPECT_FALSE(ended);
}

TEST_F(ClientTlsTest, ServerOfAnotherCaIsRefused) {
  WriteClientPem("first");
  const FakeCa other("other");
  const auto access = Access(other.certificate_pem());
  const auto client = MakeClient(*access, clock_, timers_).value();
  const auto refused = Get(*client);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnauthenticated);
  EXPECT_EQ(refused.error().message,
            "GET /x: " + server_->url() +
                ": tls: server certificate: self-signed certificate in certificate chain");
}

}  // namespace
}  // namespace farlet::kube
