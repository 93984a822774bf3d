#include "provider/webhook/webhook_server.h"

#include "tests/unit/provider/server/test_client.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <memory>
#include <string>

namespace farlet::webhook {
namespace {

using server::testing::HttpAnswer;
using server::testing::TestClient;

class WebhookServerTest : public ::testing::Test {
 protected:
  WebhookServerTest()
      : server_({.address = "127.0.0.1", .port = 0},
                [this] { return ready_ ? profiles_ : nullptr; }) {
    fargate::Profile profile;
    profile.meta.name = "fp";
    profile.selectors = {{.object_namespace = "dev"}};
    profiles_ = std::make_shared<const fargate::ProfileSet>(
        std::vector{fargate::ProfilePtr(std::make_shared<const fargate::Profile>(profile))});
  }

  void Start() {
    EXPECT_FALSE(server_.Listen());  // without a certificate
    UseCertificate("first");
    const Status listening = server_.Listen();
    ASSERT_TRUE(listening) << listening.error().message;
  }

  void UseCertificate(const std::string& name) {
    const auto pair = ca_.Issue({.common_name = name});
    ASSERT_TRUE(server_.SetCertificate(pair.certificate_pem, pair.key_pem));
  }

  static std::string Post(const std::string& body) {
    return "POST /mutate?timeout=10s HTTP/1.1\r\nHost: w\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  static std::string PodReview(size_t padding = 0) {
    return nlohmann::json{
        {"apiVersion", "admission.k8s.io/v1"},
        {"kind", "AdmissionReview"},
        {"request",
         {{"uid", "u"},
          {"operation", "CREATE"},
          {"namespace", "dev"},
          {"resource", {{"group", ""}, {"resource", "pods"}}},
          {"object",
           {{"metadata", {{"name", "p"}, {"annotations", {{"x", std::string(padding, 'x')}}}}},
            {"spec", {{"containers", {{{"name", "c"}}}}}}}}}}}
        .dump();
  }

  std::atomic<bool> ready_ = true;
  std::shared_ptr<const fargate::ProfileSet> profiles_;
  farlet::testing::FakeCa ca_;
  WebhookServer server_;
};

TEST_F(WebhookServerTest, AnswersReviewsOnOneConnection) {
  Start();
  TestClient client(server_.port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send(Post(PodReview())));
    const HttpAnswer answer = client.Read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("content-type"), "application/json");
    EXPECT_EQ(nlohmann::json::parse(answer.body)["response"]["allowed"], true);
  }
  const HttpAnswer metrics = client.Fetch("/metrics");
  EXPECT_NE(metrics.body.find("farlet_webhook_reviews_total{verdict=\"admitted\"} 3\n"),
            std::string::npos);
}

TEST_F(WebhookServerTest, LargePodsAreReviewedAndTooLargeOnesRefused) {
  Start();
  TestClient client(server_.port());
  ASSERT_TRUE(client.Send(Post(PodReview(size_t{3} << 20))));
  EXPECT_EQ(client.Read().status, 200);
  client.Send(Post(PodReview(kMaxReview)));
  EXPECT_EQ(client.Read().status, 413);
}

TEST_F(WebhookServerTest, SaysThatItIsNotReady) {
  ready_ = false;
  Start();
  TestClient client(server_.port());
  EXPECT_EQ(client.Fetch("/healthz").status, 200);
  EXPECT_EQ(client.Fetch("/readyz").status, 503);
  ASSERT_TRUE(client.Send(Post(PodReview())));
  EXPECT_EQ(client.Read().status, 503);
  ready_ = true;
  EXPECT_EQ(client.Fetch("/readyz").status, 200);
}

TEST_F(WebhookServerTest, UnknownPathsAndMethods) {
  Start();
  TestClient client(server_.port());
  EXPECT_EQ(client.Fetch("/").status, 404);
  EXPECT_EQ(client.Fetch("/mutate").status, 404);
  ASSERT_TRUE(client.Send(Post("no JSON")));
  EXPECT_EQ(client.Read().status, 400);
}

TEST_F(WebhookServerTest, ConnectionsGoOnWhenTheCertificateIsRotated) {
  Start();
  TestClient before(server_.port());
  EXPECT_EQ(before.PeerCommonName(), "first");
  UseCertificate("second");
  EXPECT_EQ(before.Fetch("/healthz").status, 200);
  TestClient after(server_.port());
  EXPECT_EQ(after.PeerCommonName(), "second");
}

}  // namespace
}  // namespace farlet::webhook
