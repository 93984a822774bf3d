#include "kube/auth/certificate.h"

#include "tests/fakes/apiserver/fake_http_server_ca.h"

#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

using farlet::testing::FakeCa;

const CertificateSubject kNode{.common_name = "system:node:fargate-a",
                               .organizations = {"system:nodes"},
                               .dns_names = {"fargate-a", "a.example"},
                               .ip_addresses = {"10.0.0.7", "fd00::7"}};

TEST(CertificateTest, RequestSignedByACa) {
  const auto key = GeneratePrivateKey();
  ASSERT_TRUE(key);
  EXPECT_EQ(key->substr(0, 27), "-----BEGIN PRIVATE KEY-----");
  const auto request = MakeCertificateRequest(*key, kNode);
  ASSERT_TRUE(request) << request.error().message;
  const FakeCa ca;
  const std::string certificate = ca.Sign(*request);
  const auto info = ParseCertificate(certificate);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->common_name, kNode.common_name);
  EXPECT_EQ(info->organizations, kNode.organizations);
  EXPECT_EQ(info->dns_names, kNode.dns_names);
  EXPECT_EQ(info->ip_addresses, kNode.ip_addresses);
  EXPECT_LT(info->not_before, std::chrono::system_clock::now());
  EXPECT_GT(info->not_after, std::chrono::system_clock::now());
  EXPECT_TRUE(CheckKeyMatches(certificate, *key));
  EXPECT_TRUE(CheckKeyMatches(*key + certificate, *key + certificate));  // both in one file
}

TEST(CertificateTest, RequestWithoutNames) {
  const auto request =
      MakeCertificateRequest(*GeneratePrivateKey(), {.common_name = "system:node:a"});
  ASSERT_TRUE(request);
  const FakeCa ca;
  EXPECT_EQ(ParseCertificate(ca.Sign(*request))->common_name, "system:node:a");
}

TEST(CertificateTest, SelfSigned) {
  const auto key = GeneratePrivateKey();
  const WallTime now = std::chrono::system_clock::from_time_t(1767323045);
  const auto certificate = MakeSelfSignedCertificate(*key, kNode, now, std::chrono::hours(24));
  ASSERT_TRUE(certificate) << certificate.error().message;
  const auto info = ParseCertificate(*certificate);
  EXPECT_EQ(info->not_before, now - std::chrono::hours(1));
  EXPECT_EQ(info->not_after, now + std::chrono::hours(24));
  EXPECT_EQ(info->ip_addresses, kNode.ip_addresses);
  EXPECT_TRUE(CheckKeyMatches(*certificate, *key));
}

TEST(CertificateTest, IssuedByACaOfOurOwn) {
  const WallTime now = std::chrono::system_clock::from_time_t(1767323045);
  const auto ca_key = GeneratePrivateKey();
  const auto ca = MakeCaCertificate(*ca_key, {.common_name = "ca"}, now, std::chrono::hours(48));
  ASSERT_TRUE(ca) << ca.error().message;
  EXPECT_EQ(ParseCertificate(*ca)->not_after, now + std::chrono::hours(48));
  const auto key = GeneratePrivateKey();
  const auto certificate = IssueCertificate({.certificate_pem = *ca, .key_pem = *ca_key}, *key,
                                            kNode, now, std::chrono::hours(24));
  ASSERT_TRUE(certificate) << certificate.error().message;
  EXPECT_EQ(ParseCertificate(*certificate)->dns_names, kNode.dns_names);
  EXPECT_EQ(ParseCertificate(*certificate)->not_after, now + std::chrono::hours(24));
  EXPECT_TRUE(CheckKeyMatches(*certificate, *key));
  EXPECT_EQ(IssueCertificate({.certificate_pem = *ca, .key_pem = *key}, *key, kNode, now,
                             std::chrono::hours(24))
                .error()
                .message,
            "issuer: private key: does not belong to the certificate");
}

TEST(CertificateTest, KeysDiffer) {
  EXPECT_NE(*GeneratePrivateKey(), *GeneratePrivateKey());
}

TEST(CertificateTest, MalformedInput) {
  const auto key = GeneratePrivateKey();
  const auto certificate =
      MakeSelfSignedCertificate(*key, kNode, std::chrono::system_clock::now(), seconds(60));
  EXPECT_EQ(CheckKeyMatches(*certificate, *GeneratePrivateKey()).error().message,
            "private key: does not belong to the certificate");
  EXPECT_EQ(CheckKeyMatches(*certificate, "x").error().message,
            "private key: not an unencrypted PEM private key");
  EXPECT_EQ(ParseCertificate("").error().message, "certificate: not a PEM certificate");
  EXPECT_EQ(ParseCertificate(*key).error().code, Code::kInvalidArgument);
  EXPECT_FALSE(MakeCertificateRequest("x", kNode));
  EXPECT_EQ(MakeCertificateRequest(*key, {.common_name = "a", .ip_addresses = {"10.0.0"}})
                .error()
                .message,
            "certificate: 10.0.0 is not an IP address");
  EXPECT_FALSE(MakeCertificateRequest(*key, {.common_name = std::string(65, 'x')}));
}

}  // namespace
}  // namespace farlet::kube
