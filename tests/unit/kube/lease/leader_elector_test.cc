#include "kube/lease/leader_elector.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

const std::string kPath = "/apis/coordination.k8s.io/v1/namespaces/farlet/leases/webhook";

class Candidate {
 public:
  Candidate(ApiHarness& harness, const std::string& identity)
      : elector_(harness.client,
                 harness.clock,
                 harness.timers,
                 {.object_namespace = "farlet", .name = "webhook", .identity = identity},
                 [this](bool leading) {
                   ++changes_;
                   told_ = leading;
                 }) {
    elector_.Start();
  }

  bool leading() const { return elector_.leading() && told_; }

  bool told() const { return told_; }

  int changes() const { return changes_; }

  void Stop() { elector_.Stop(); }

 private:
  std::atomic<bool> told_ = false;
  std::atomic<int> changes_ = 0;
  LeaderElector elector_;
};

class LeaderElectorTest : public ::testing::Test {
 protected:
  Json Spec() { return harness_.api.Find(kPath).value_or(Json{{"spec", nullptr}})["spec"]; }

  int Requests() { return harness_.api.TotalRequests(); }

  // Time goes on while `candidate` makes some more tries.
  void Tries(int count) {
    const int before = Requests();
    ASSERT_TRUE(
        harness_.AdvanceUntil(milliseconds(100), [&] { return Requests() >= before + count; }));
  }

  ApiHarness harness_;
};

TEST_F(LeaderElectorTest, TheFirstLeads) {
  Candidate a(harness_, "a");
  ASSERT_TRUE(Eventually([&] { return a.leading(); }));
  EXPECT_EQ(Spec(), (Json{{"holderIdentity", "a"},
                          {"leaseDurationSeconds", 15},
                          {"leaseTransitions", 1},
                          {"acquireTime", "2026-01-02T03:04:05.000000Z"},
                          {"renewTime", "2026-01-02T03:04:05.000000Z"}}));
}

TEST_F(LeaderElectorTest, OnlyOneLeadsUntilItsLeaseIsOld) {
  Candidate a(harness_, "a");
  ASSERT_TRUE(Eventually([&] { return a.leading(); }));
  Candidate b(harness_, "b");
  Tries(40);
  EXPECT_TRUE(a.leading());
  EXPECT_FALSE(b.leading());
  EXPECT_EQ(b.changes(), 0);
  a.Stop();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(500), [&] { return b.leading(); }));
  EXPECT_EQ(Spec()["holderIdentity"], "b");
  EXPECT_EQ(Spec()["leaseTransitions"], 2);
}

TEST_F(LeaderElectorTest, WaitsForTheWholeDuration) {
  harness_.api.Put(kPath, {{"spec",
                            {{"holderIdentity", "gone"},
                             {"leaseDurationSeconds", 15},
                             {"renewTime", "2020-01-01T00:00:00.000000Z"}}}});
  Candidate a(harness_, "a");
  ASSERT_TRUE(Eventually([&] { return Requests() >= 1; }));
  const SteadyTime start = harness_.clock.Now();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return a.leading(); }));
  EXPECT_GE(harness_.clock.Now() - start, seconds(15));
}

TEST_F(LeaderElectorTest, StopsLeadingWhenItCannotRenew) {
  Candidate a(harness_, "a");
  ASSERT_TRUE(Eventually([&] { return a.leading(); }));
  harness_.api.InjectFault({.times = -1, .status = 500});
  const SteadyTime start = harness_.clock.Now();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return !a.told(); }));
  EXPECT_GE(harness_.clock.Now() - start, milliseconds(9'000));
  harness_.api.ClearFaults();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return a.leading(); }));
  EXPECT_EQ(a.changes(), 3);
  // It was its own all the time.
  EXPECT_EQ(Spec()["leaseTransitions"], 1);
}

TEST_F(LeaderElectorTest, StopsLeadingWhenAnotherOneTookIt) {
  Candidate a(harness_, "a");
  ASSERT_TRUE(Eventually([&] { return a.leading(); }));
  harness_.api.Put(kPath, {{"spec",
                            {{"holderIdentity", "b"},
                             {"leaseDurationSeconds", 15},
                             {"renewTime", "2026-01-02T03:05:00.000000Z"}}}});
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return !a.told(); }));
}

}  // namespace
}  // namespace farlet::kube
