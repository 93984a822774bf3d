#include "kube/lease/lease_keeper.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;

const std::string kPath = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1";

class LeaseTest : public ::testing::Test {
 protected:
  Json Lease() { return harness_.api.Find(kPath).value_or(Json()); }

  int Writes() {
    return harness_.api.Requests("PUT", "leases") + harness_.api.Requests("POST", "leases");
  }

  bool Renewed(const std::string& time) {
    return harness_.api.WaitFor(kPath, [&](const Json& lease) {
      return lease.is_object() && lease["spec"]["renewTime"] == time;
    });
  }

  void StartRenewed() {
    keeper_.Start();
    ASSERT_TRUE(Renewed("2026-01-02T03:04:05.000000Z"));
    ASSERT_TRUE(Eventually([&] { return keeper_.last_renewal() == harness_.clock.Now(); }));
  }

  ApiHarness harness_;
  LeaseKeeper keeper_{
      harness_.client, harness_.clock, harness_.timers, {.name = "node-1", .holder = "node-1"}};
};

TEST_F(LeaseTest, CreatesAndRenews) {
  StartRenewed();
  EXPECT_EQ(Lease()["spec"], (Json{{"holderIdentity", "node-1"},
                                   {"leaseDurationSeconds", 40},
                                   {"renewTime", "2026-01-02T03:04:05.000000Z"}}));
  EXPECT_FALSE(Lease()["metadata"].contains("ownerReferences"));
  harness_.Advance(milliseconds(10'400));
  ASSERT_TRUE(Renewed("2026-01-02T03:04:15.400000Z"));
  // A renewal is one PUT.
  EXPECT_EQ(harness_.api.TotalRequests(), 3);
}

TEST_F(LeaseTest, BelongsToTheNode) {
  StartRenewed();
  for (const char* uid : {"first", "second"}) {
    const Json owner{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", "node-1"}, {"uid", uid}};
    keeper_.SetOwner(uid);
    ASSERT_TRUE(harness_.api.WaitFor(kPath, [&](const Json& lease) {
      return lease["metadata"].value("ownerReferences", Json()) == Json::array({owner});
    }));
    harness_.Advance(seconds(1));
  }
}

TEST_F(LeaseTest, TakesOverAnExistingLease) {
  harness_.api.Put(kPath, {{"spec", {{"renewTime", "2025-01-01T00:00:00.000000Z"}}}});
  StartRenewed();
  EXPECT_EQ(harness_.api.Requests("POST", "leases"), 0);
}

TEST_F(LeaseTest, ReadsAgainAfterAConflict) {
  StartRenewed();
  Json touched = Lease();
  touched["metadata"]["labels"] = {{"by", "somebody"}};
  harness_.api.Put(kPath, touched);
  harness_.Advance(milliseconds(10'400));
  ASSERT_TRUE(Renewed("2026-01-02T03:04:15.400000Z"));
  EXPECT_EQ(Lease()["metadata"]["labels"]["by"], "somebody");
}

TEST_F(LeaseTest, MakesAnotherWhenItIsDeleted) {
  StartRenewed();
  harness_.api.Remove(kPath);
  harness_.Advance(milliseconds(10'400));
  EXPECT_TRUE(Renewed("2026-01-02T03:04:15.400000Z"));
}

TEST_F(LeaseTest, BacksOffAndComesBack) {
  StartRenewed();
  const SteadyTime renewed = keeper_.last_renewal();
  harness_.api.InjectFault({.times = 6, .status = 503});
  ASSERT_TRUE(
      harness_.AdvanceUntil(milliseconds(100), [&] { return keeper_.last_renewal() > renewed; }));
  EXPECT_EQ(Writes(), 1 + 1 + 1);
}

TEST_F(LeaseTest, NothingAfterStop) {
  StartRenewed();
  keeper_.Stop();
  harness_.Advance(seconds(60));
  EXPECT_EQ(Writes(), 1);
}

}  // namespace
}  // namespace farlet::kube
