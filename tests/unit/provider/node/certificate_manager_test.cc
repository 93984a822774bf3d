#include "provider/node/certificate_manager.h"

#include "provider/node/certificate_request.h"
#include "provider/node/client_certificate.h"
#include "provider/node/serving_certificate.h"
#include "runtime/base/base64.h"
#include "runtime/base/file.h"
#include "tests/fakes/apiserver/fake_api_server_harness.h"
#include "tests/fakes/apiserver/fake_http_server_ca.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <atomic>
#include <mutex>

namespace farlet::node {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

constexpr char kCsrs[] = "certificatesigningrequests";

// Certificates are real, so their times are those of the machine and not of the fake clock: the
// harness's clock is brought near them first.
class CertificateTest : public ::testing::Test {
 protected:
  CertificateTest() {
    harness_.clock.Advance(std::chrono::system_clock::now() - harness_.clock.WallNow());
    Approve(std::chrono::hours(10));
  }

  void Approve(std::chrono::seconds life) {
    harness_.api.SetSigner([this, life](const kube::Json& csr) {
      const std::lock_guard lock(mutex_);
      specs_.push_back(csr["spec"]);
      const auto request = DecodeBase64(csr["spec"]["request"].get<std::string>());
      return EncodeBase64(ca_.Sign(request.value(), std::chrono::seconds(-60), life));
    });
  }

  kube::Json Spec(size_t index) {
    const std::lock_guard lock(mutex_);
    return specs_.at(index);
  }

  std::unique_ptr<ClientCertificate> MakeClientCertificate(kube::Client* bootstrap) {
    return std::make_unique<ClientCertificate>(
        harness_.clock, harness_.timers,
        ClientCertificate::Options{.node_name = "node-1",
                                   .cert_dir = dir_.path(),
                                   .bootstrap = bootstrap,
                                   .on_certificate = [this] { ++certificates_; }});
  }

  kube::CertificateInfo Stored() {
    return *kube::ParseCertificate(*ReadFile(ClientCertificate::PathIn(dir_.path())));
  }

  int Asked() { return harness_.api.Requests("POST", kCsrs); }

  TempFolder dir_;
  ApiHarness harness_;
  farlet::testing::FakeCa ca_;
  std::mutex mutex_;  // guards specs_
  std::vector<kube::Json> specs_;
  std::atomic<int> certificates_ = 0;
};

TEST_F(CertificateTest, BootstrapsItsIdentity) {
  const auto certificate = MakeClientCertificate(&harness_.client);
  EXPECT_FALSE(certificate->usable());
  certificate->Start();
  ASSERT_TRUE(Eventually([&] { return certificates_ == 1; }));
  EXPECT_TRUE(certificate->usable());
  EXPECT_EQ(Stored().common_name, "system:node:node-1");
  EXPECT_EQ(Stored().organizations, std::vector<std::string>{"system:nodes"});
  EXPECT_EQ(Spec(0)["signerName"], "kubernetes.io/kube-apiserver-client-kubelet");
  EXPECT_EQ(Spec(0)["usages"], (kube::Json{"digital signature", "client auth"}));

  struct stat file {};

  ASSERT_EQ(::stat(ClientCertificate::PathIn(dir_.path()).c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST_F(CertificateTest, UsesTheStoredOneAfterARestart) {
  auto first = MakeClientCertificate(&harness_.client);
  first->Start();
  ASSERT_TRUE(Eventually([&] { return certificates_ == 1; }));
  first.reset();
  const int asked = Asked();
  const auto second = MakeClientCertificate(nullptr);
  second->Start();
  EXPECT_EQ(certificates_, 2);
  EXPECT_TRUE(second->usable());
  EXPECT_EQ(Asked(), asked);
}

TEST_F(CertificateTest, BootstrapsAgainWhenTheStoredOneIsOfNoUse) {
  const char* const broken[] = {"", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n"};
  for (const char* text : broken) {
    dir_.Write("kubelet-client-current.pem", text);
    const int before = certificates_;
    const auto certificate = MakeClientCertificate(&harness_.client);
    certificate->Start();
    EXPECT_TRUE(Eventually([&] { return certificates_ == before + 1; })) << text;
  }
}

TEST_F(CertificateTest, BootstrapsAgainWhenTheStoredOneIsAnothersOrExpired) {
  const auto other =
      ca_.Issue({.common_name = "system:node:other", .organizations = {"system:nodes"}});
  const auto expired = ca_.Issue({.common_name = "system:node:node-1",
                                  .organizations = {"system:nodes"},
                                  .not_before = std::chrono::seconds(-7200),
                                  .not_after = std::chrono::seconds(-3600)});
  for (const auto& pair : {other, expired}) {
    dir_.Write("kubelet-client-current.pem", pair.certificate_pem + pair.key_pem);
    const int before = certificates_;
    const auto certificate = MakeClientCertificate(&harness_.client);
    certificate->Start();
    EXPECT_TRUE(Eventually([&] { return certificates_ == before + 1; }));
    EXPECT_EQ(Stored().common_name, "system:node:node-1");
  }
}

TEST_F(CertificateTest, RotatesWithItsOwnClientLateInItsLife) {
  const auto certificate = MakeClientCertificate(&harness_.client);
  certificate->Start();
  ASSERT_TRUE(Eventually([&] { return certificates_ == 1; }));
  Approve(std::chrono::hours(100));
  farlet::testing::FakeApiClient own(harness_.api);
  certificate->UseClient(own);
  // 70 % of ten hours.
  for (int hour = 0; hour < 6; ++hour) {
    harness_.Advance(std::chrono::hours(1));
  }
  EXPECT_EQ(Asked(), 1);
  ASSERT_TRUE(harness_.AdvanceUntil(std::chrono::minutes(10), [&] { return certificates_ == 2; }));
  EXPECT_GT(Stored().not_after, harness_.clock.WallNow() + std::chrono::hours(50));
  certificate->Stop();
}

TEST_F(CertificateTest, KeepsAskingAfterADenial) {
  harness_.api.SetSigner(nullptr);
  const auto certificate = MakeClientCertificate(&harness_.client);
  certificate->Start();
  ASSERT_TRUE(harness_.api.WaitForRequests("WATCH", kCsrs, 1));
  kube::Json csr = harness_.api.All("/apis/certificates.k8s.io/v1/certificatesigningrequests")[0];
  csr["status"]["conditions"] = kube::Json::array(
      {kube::Json{{"type", "Denied"}, {"reason", "NoWay"}, {"message", "not you"}}});
  const std::string name = csr["metadata"]["name"];
  Approve(std::chrono::hours(10));
  harness_.api.Put("/apis/certificates.k8s.io/v1/certificatesigningrequests/" + name, csr);
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(200), [&] { return certificates_ == 1; }));
  EXPECT_EQ(Asked(), 2);
}

TEST_F(CertificateTest, AsksAgainWhenNobodyApproves) {
  harness_.api.SetSigner(nullptr);
  const auto certificate = MakeClientCertificate(&harness_.client);
  certificate->Start();
  ASSERT_TRUE(harness_.api.WaitForRequests("WATCH", kCsrs, 1));
  EXPECT_TRUE(harness_.AdvanceUntil(std::chrono::minutes(1), [&] { return Asked() >= 2; }));
}

TEST_F(CertificateTest, ServesSelfSignedUntilTheClusterHasSigned) {
  harness_.api.SetSigner(nullptr);
  std::mutex mutex;
  std::vector<KeyPair> pairs;
  ServingCertificate serving(harness_.clock, harness_.timers,
                             {.node_name = "node-1",
                              .ips = {"10.0.0.1"},
                              .cert_dir = dir_.path(),
                              .client = &harness_.client,
                              .on_pair = [&](const KeyPair& pair) {
                                const std::lock_guard lock(mutex);
                                pairs.push_back(pair);
                              }});
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return pairs.size();
  };
  ASSERT_TRUE(serving.Start());
  ASSERT_EQ(count(), 1U);
  EXPECT_TRUE(kube::CheckKeyMatches(pairs[0].certificate_pem, pairs[0].key_pem));
  EXPECT_EQ(kube::ParseCertificate(pairs[0].certificate_pem)->ip_addresses,
            std::vector<std::string>{"10.0.0.1"});

  ASSERT_TRUE(harness_.api.WaitForRequests("WATCH", kCsrs, 1));
  Approve(std::chrono::hours(10));
  ASSERT_TRUE(harness_.AdvanceUntil(std::chrono::minutes(1), [&] { return count() == 2; }));
  EXPECT_EQ(Spec(0)["signerName"], "kubernetes.io/kubelet-serving");
  EXPECT_EQ(Spec(0)["usages"], (kube::Json{"digital signature", "server auth"}));

  serving.SetIps({"10.0.0.2"});
  ASSERT_TRUE(Eventually([&] { return count() == 3; }));
  serving.Stop();
  const auto info = kube::ParseCertificate(pairs[2].certificate_pem);
  EXPECT_EQ(info->ip_addresses, std::vector<std::string>{"10.0.0.2"});
  EXPECT_EQ(info->dns_names, std::vector<std::string>{"node-1"});
  EXPECT_TRUE(kube::CheckKeyMatches(pairs[2].certificate_pem, pairs[2].key_pem));
}

TEST_F(CertificateTest, WritesAKubeconfigOnce) {
  const auto path = dir_.path() / "kubeconfig";
  ASSERT_TRUE(WriteNodeKubeconfig(path, "https://10.0.0.1:6443", ca_.certificate_pem(), "/x.pem"));
  const auto written = std::filesystem::last_write_time(path);
  ASSERT_TRUE(WriteNodeKubeconfig(path, "https://10.0.0.1:6443", ca_.certificate_pem(), "/x.pem"));
  EXPECT_EQ(std::filesystem::last_write_time(path), written);
  EXPECT_NE(ReadFile(path)->find("/x.pem"), std::string::npos);
}

}  // namespace
}  // namespace farlet::node
