#include "provider/webhook/certificates.h"

#include "tests/fakes/clock/fake_clock.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace farlet::webhook {
namespace {

constexpr seconds kDay = std::chrono::hours(24);

const CertificatePolicy kPolicy{
    .subject = {.common_name = "farlet-webhook", .dns_names = {"webhook.farlet.svc"}},
    .ca_lifetime = 360 * kDay,
    .lifetime = 30 * kDay};

WallTime Start() {
  return testing::FakeClock().WallNow();
}

std::optional<CertificateSet> Next(const std::optional<CertificateSet>& current, WallTime now) {
  auto next = Renew(current, kPolicy, now);
  EXPECT_TRUE(next) << next.error().message;
  return next ? *next : std::nullopt;
}

// Whether whoever trusts `bundle` accepts the first certificate of `pem` as a server's at `now`.
bool Verifies(const std::string& bundle, const std::string& pem, WallTime now) {
  const std::unique_ptr<X509_STORE, void (*)(X509_STORE*)> store(X509_STORE_new(), X509_STORE_free);
  const std::unique_ptr<BIO, int (*)(BIO*)> trusted(
      BIO_new_mem_buf(bundle.data(), static_cast<int>(bundle.size())), BIO_free);
  while (X509* ca = PEM_read_bio_X509(trusted.get(), nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(store.get(), ca);
    X509_free(ca);
  }
  const std::unique_ptr<BIO, int (*)(BIO*)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  const std::unique_ptr<X509, void (*)(X509*)> leaf(
      PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr), X509_free);
  const std::unique_ptr<X509_STORE_CTX, void (*)(X509_STORE_CTX*)> context(X509_STORE_CTX_new(),
                                                                           X509_STORE_CTX_free);
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_SERVER);
  X509_STORE_CTX_set_time(context.get(), 0, std::chrono::system_clock::to_time_t(now));
  return X509_verify_cert(context.get()) == 1;
}

TEST(RenewTest, MakesAllThereIsNone) {
  const auto set = Next(std::nullopt, Start());
  ASSERT_TRUE(set);
  EXPECT_TRUE(Verifies(set->ca_pem, set->certificate_pem, Start()));
  const auto info = kube::ParseCertificate(set->certificate_pem);
  EXPECT_EQ(info->dns_names, kPolicy.subject.dns_names);
  EXPECT_EQ(info->not_after, Start() + 30 * kDay);
  EXPECT_FALSE(Next(set, Start()));
}

TEST(RenewTest, RenewsACertificateAfterTwoThirds) {
  const auto set = Next(std::nullopt, Start());
  EXPECT_FALSE(Next(set, Start() + 20 * kDay - seconds(1)));
  const auto next = Next(set, Start() + 20 * kDay);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->ca_pem, set->ca_pem);
  EXPECT_NE(next->key_pem, set->key_pem);
  EXPECT_TRUE(Verifies(set->ca_pem, next->certificate_pem, Start() + 20 * kDay));
}

TEST(RenewTest, RenewsForAnotherSubject) {
  const auto set = Next(std::nullopt, Start());
  CertificatePolicy other = kPolicy;
  other.subject.dns_names = {"elsewhere.svc"};
  const auto next = Renew(set, other, Start());
  ASSERT_TRUE(next && *next);
  EXPECT_EQ(kube::ParseCertificate((*next)->certificate_pem)->dns_names, other.subject.dns_names);
}

TEST(RenewTest, ANewAuthorityIsTrustedBeforeItSigns) {
  auto set = Next(std::nullopt, Start());
  // Its certificate is renewed just before.
  const WallTime before = Start() + 239 * kDay;
  set = Next(set, before);
  ASSERT_TRUE(set);
  const WallTime due = Start() + 240 * kDay;
  const auto next = Next(set, due);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->certificate_pem, set->certificate_pem);
  EXPECT_NE(next->ca_key_pem, set->ca_key_pem);
  // Whoever has heard of the new one only later, and whoever already has, both go on.
  EXPECT_TRUE(Verifies(set->ca_pem, next->certificate_pem, due));
  EXPECT_TRUE(Verifies(next->ca_pem, next->certificate_pem, due));
  EXPECT_FALSE(Next(next, due + seconds(120)));
  // The next certificate is the new authority's.
  const auto later = Next(next, before + 20 * kDay);
  ASSERT_TRUE(later);
  EXPECT_NE(later->certificate_pem, next->certificate_pem);
  EXPECT_TRUE(Verifies(later->ca_pem, later->certificate_pem, before + 20 * kDay));
  EXPECT_FALSE(Verifies(set->ca_pem, later->certificate_pem, before + 20 * kDay));
}

TEST(RenewTest, AnAuthorityThatSettlesDoesNotSign) {
  const auto set = Next(std::nullopt, Start());
  // Both are due: the authority first, the certificate a minute later.
  const WallTime due = Start() + 240 * kDay;
  auto expiring = *set;
  expiring.certificate_pem =
      *kube::IssueCertificate({.certificate_pem = set->ca_pem, .key_pem = set->ca_key_pem},
                              set->key_pem, kPolicy.subject, due - 25 * kDay, 30 * kDay);
  const auto next = Next(expiring, due);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->certificate_pem, expiring.certificate_pem);
  EXPECT_FALSE(Next(next, due + seconds(59)));
  const auto later = Next(next, due + seconds(61));
  ASSERT_TRUE(later);
  EXPECT_NE(later->certificate_pem, expiring.certificate_pem);
}

TEST(RenewTest, AfterALongSleepEverythingIsNew) {
  const auto set = Next(std::nullopt, Start());
  const WallTime late = Start() + 1000 * kDay;
  const auto next = Next(set, late);
  ASSERT_TRUE(next);
  EXPECT_TRUE(Verifies(next->ca_pem, next->certificate_pem, late));
  EXPECT_EQ(next->ca_pem.find("-----BEGIN", 1), std::string::npos);  // the old one has ended
}

TEST(SecretTest, GoesBothWays) {
  const auto set = Next(std::nullopt, Start());
  const auto read = SetOf(SecretOf(*set));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, *set);
}

TEST(SecretTest, ErrorsNameTheKeyAndShowNoSecret) {
  const auto set = Next(std::nullopt, Start());
  const auto problem = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json secret = SecretOf(*set);
    secret["data"][key] = value;
    const auto read = SetOf(secret);
    return read ? "" : read.error().message;
  };
  EXPECT_EQ(problem("tls.key", nullptr), "data[tls.key]: is missing");
  EXPECT_EQ(problem("tls.crt", "!"), "data[tls.crt]: is not base64");
  EXPECT_EQ(problem("ca.key", SecretOf(*set)["data"]["tls.key"]),
            "data[ca.crt]: private key: does not belong to the certificate");
  EXPECT_EQ(SetOf(nlohmann::json()).error().message, "data[tls.crt]: is missing");
}

}  // namespace
}  // namespace farlet::webhook
