#include "provider/webhook/certificate_keeper.h"

#include "provider/webhook/certificates.h"
#include "runtime/base/base64.h"
#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>

namespace farlet::webhook {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using kube::Json;

const std::string kSecret = "/api/v1/namespaces/farlet/secrets/webhook-tls";
const std::string kConfiguration =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/farlet";

const CertificatePolicy kPolicy{
    .subject = {.common_name = "webhook", .dns_names = {"w.farlet.svc"}}};

// Small, so that calls have real time to be answered in before their deadline.
constexpr milliseconds kStep{200};

class Replica {
 public:
  explicit Replica(ApiHarness& harness)
      : keeper_(harness.client,
                harness.clock,
                harness.timers,
                {.object_namespace = "farlet",
                 .secret_name = "webhook-tls",
                 .configuration_name = "farlet",
                 .policy = kPolicy,
                 .on_change = [this](const CertificateSet& set) {
                   const std::lock_guard lock(mutex_);
                   set_ = set;
                 }}) {
    keeper_.Start();
  }

  CertificateSet set() const {
    const std::lock_guard lock(mutex_);
    return set_;
  }

  CertificateKeeper& keeper() { return keeper_; }

 private:
  mutable std::mutex mutex_;
  CertificateSet set_;
  CertificateKeeper keeper_;
};

class CertificateKeeperTest : public ::testing::Test {
 protected:
  CertificateKeeperTest() {
    harness_.api.Put(kConfiguration,
                     {{"webhooks",
                       {{{"name", "a"}, {"clientConfig", {{"service", {{"name", "w"}}}}}},
                        {{"name", "b"}, {"clientConfig", {{"caBundle", "b2xk"}}}}}}});
  }

  bool Trusts(const CertificateSet& set) {
    const std::string bundle = EncodeBase64(set.ca_pem);
    // A request that a leap of the clock has cut off is made again some seconds later.
    return harness_.AdvanceUntil(kStep, [&] {
      const Json webhooks = harness_.api.Find(kConfiguration)->at("webhooks");
      return webhooks[0]["clientConfig"].value("caBundle", "") == bundle &&
             webhooks[1]["clientConfig"].value("caBundle", "") == bundle;
    });
  }

  // Until nothing is due any more, and both have it.
  bool Settles(const Replica& leader, const Replica& follower) {
    return harness_.AdvanceUntil(kStep, [&] {
      const auto due = Renew(leader.set(), kPolicy, harness_.clock.WallNow());
      return due && !*due && follower.set() == leader.set();
    });
  }

  ApiHarness harness_;
};

TEST_F(CertificateKeeperTest, TheLeaderMakesItAndAllServeIt) {
  Replica follower(harness_);
  Replica leader(harness_);
  EXPECT_FALSE(harness_.api.Find(kSecret));
  leader.keeper().SetLeading(true);
  ASSERT_TRUE(Eventually([&] { return leader.keeper().usable() && follower.keeper().usable(); }));
  EXPECT_EQ(leader.set(), follower.set());
  EXPECT_TRUE(Trusts(leader.set()));
  EXPECT_EQ(harness_.api.Find(kConfiguration)->at("webhooks")[0]["clientConfig"]["service"],
            (Json{{"name", "w"}}));
}

TEST_F(CertificateKeeperTest, AFollowerWritesNothing) {
  Replica follower(harness_);
  harness_.Advance(seconds(120));
  EXPECT_FALSE(follower.keeper().usable());
  EXPECT_FALSE(harness_.api.Find(kSecret));
}

TEST_F(CertificateKeeperTest, RotatesAndTellsEverybody) {
  Replica follower(harness_);
  Replica leader(harness_);
  leader.keeper().SetLeading(true);
  ASSERT_TRUE(Settles(leader, follower));
  const CertificateSet first = leader.set();
  while (follower.set().certificate_pem == first.certificate_pem) {
    harness_.Advance(std::chrono::hours(10));
    ASSERT_TRUE(Settles(leader, follower));
  }
  EXPECT_EQ(follower.set().ca_key_pem, first.ca_key_pem);
  while (follower.set().ca_key_pem == first.ca_key_pem) {
    harness_.Advance(std::chrono::hours(100));
    ASSERT_TRUE(Settles(leader, follower));
  }
  EXPECT_NE(leader.set().ca_pem.find(first.ca_pem), std::string::npos);
  EXPECT_TRUE(Trusts(leader.set()));
}

TEST_F(CertificateKeeperTest, PutsBackWhatSomebodyTookAway) {
  Replica leader(harness_);
  leader.keeper().SetLeading(true);
  ASSERT_TRUE(Eventually([&] { return leader.keeper().usable(); }));
  ASSERT_TRUE(Trusts(leader.set()));
  const CertificateSet first = leader.set();
  Json configuration = *harness_.api.Find(kConfiguration);
  configuration["webhooks"][1]["clientConfig"].erase("caBundle");
  harness_.api.Put(kConfiguration, configuration);
  ASSERT_TRUE(harness_.AdvanceUntil(kStep, [&] {
    return harness_.api.Find(kConfiguration)
        ->at("webhooks")[1]["clientConfig"]
        .contains("caBundle");
  }));
  harness_.api.Remove(kSecret);
  ASSERT_TRUE(harness_.AdvanceUntil(kStep, [&] { return harness_.api.Find(kSecret).has_value(); }));
  EXPECT_EQ(*SetOf(*harness_.api.Find(kSecret)), first);
  EXPECT_EQ(leader.set(), first);
}

TEST_F(CertificateKeeperTest, ASecretThatIsNoneIsMadeAnew) {
  harness_.api.Put(kSecret, {{"type", "kubernetes.io/tls"}, {"data", {{"tls.crt", "eA=="}}}});
  Replica leader(harness_);
  leader.keeper().SetLeading(true);
  ASSERT_TRUE(Eventually([&] { return leader.keeper().usable(); }));
  EXPECT_TRUE(SetOf(*harness_.api.Find(kSecret)));
}

TEST_F(CertificateKeeperTest, GoesOnAfterFailures) {
  harness_.api.InjectFault({.verb = "POST", .path = "secrets", .times = 2, .status = 500});
  Replica leader(harness_);
  leader.keeper().SetLeading(true);
  ASSERT_TRUE(harness_.AdvanceUntil(seconds(5), [&] { return leader.keeper().usable(); }));
  EXPECT_TRUE(Trusts(leader.set()));
}

}  // namespace
}  // namespace farlet::webhook
