#include "provider/webhook/profile_status.h"

#include "provider/webhook/profile_store.h"
#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::webhook {
namespace {

using ::farlet::testing::ApiHarness;
using kube::Json;

class ProfileStatusTest : public ::testing::Test {
 protected:
  ProfileStatusTest()
      : store_(
            harness_.client, harness_.clock, harness_.timers, {}, [this] { status_.LookAgain(); }),
        status_(harness_.client,
                harness_.clock,
                harness_.timers,
                {.profiles = [this] { return store_.All(); },
                 .problem = [this](const auto& profile) { return store_.Problem(profile); }}) {}

  ~ProfileStatusTest() override {
    store_.Stop();
    status_.Stop();
  }

  void Start() {
    store_.Start();
    status_.Start();
    status_.SetLeading(true);
  }

  void PutPod(const std::string& name, const std::string& profile, const std::string& phase) {
    harness_.api.Put("/api/v1/namespaces/x/pods/" + name,
                     {{"metadata", {{"labels", {{"eks.amazonaws.com/fargate-profile", profile}}}}},
                      {"status", {{"phase", phase}}}});
  }

  bool HasStatus(const std::string& name, const Json& status) {
    const std::string path = std::string(fargate::kProfilePath) + "/" + name;
    return harness_.AdvanceUntil(milliseconds(200), [&] {
      return harness_.api.Find(path)->value("status", Json()) == status;
    });
  }

  ApiHarness harness_;
  ProfileStore store_;
  ProfileStatus status_;
};

TEST_F(ProfileStatusTest, CountsPods) {
  const std::string path = std::string(fargate::kProfilePath) + "/";
  harness_.api.Put(
      path + "a",
      {{"metadata", {{"generation", 2}}},
       {"spec",
        {{"selectors", {{{"namespace", "x"}}, {{"namespace", "y"}}}}, {"subnets", {"s"}}}}});
  harness_.api.Put(path + "b", {{"spec", {{"selectors", Json::array()}}}});
  PutPod("1", "a", "Running");
  PutPod("2", "a", "Pending");
  PutPod("3", "a", "Succeeded");
  PutPod("4", "gone", "Running");
  Start();
  EXPECT_TRUE(HasStatus("a", {{"status", "ACTIVE"},
                              {"message", ""},
                              {"observedGeneration", 2},
                              {"namespaces", "x,y"},
                              {"pods", {{"matched", 3}, {"running", 1}, {"pending", 1}}},
                              {"withoutEffect", {"subnets"}}}));
  EXPECT_TRUE(HasStatus("b", {{"status", "CREATE_FAILED"},
                              {"message", "invalid Fargate profile \"b\": no profile selector"},
                              {"observedGeneration", 0},
                              {"namespaces", ""},
                              {"pods", {{"matched", 0}, {"running", 0}, {"pending", 0}}},
                              {"withoutEffect", Json::array()}}));
  PutPod("2", "a", "Running");
  harness_.api.Remove("/api/v1/namespaces/x/pods/3");
  EXPECT_TRUE(HasStatus("a", {{"status", "ACTIVE"},
                              {"message", ""},
                              {"observedGeneration", 2},
                              {"namespaces", "x,y"},
                              {"pods", {{"matched", 2}, {"running", 2}, {"pending", 0}}},
                              {"withoutEffect", {"subnets"}}}));
}

TEST_F(ProfileStatusTest, AMessageThatIsCutWithinACharacterIsWritten) {
  const std::string path = std::string(fargate::kProfilePath) + "/a";
  const std::string letters(63, 'a');
  harness_.api.Put(path, {{"spec", {{"selectors", {{{"namespace", letters + "\u00e4"}}}}}}});
  Start();
  const auto written = [&] {
    const std::string message =
        harness_.api.Find(path)->value(Json::json_pointer("/status/message"), "");
    return message.find("namespace \"" + letters) != std::string::npos;
  };
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(200), written));
}

TEST_F(ProfileStatusTest, WritesOnlyWhatChanges) {
  const std::string path = std::string(fargate::kProfilePath) + "/";
  harness_.api.Put(path + "a", {{"spec", {{"selectors", {{{"namespace", "x"}}}}}}});
  Start();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(200), [&] {
    return harness_.api.Requests("PATCH", "fargateprofiles/status") == 1;
  }));
  for (int i = 0; i < 20; ++i) {
    harness_.Advance(seconds(1));
    status_.LookAgain();
  }
  EXPECT_EQ(harness_.api.Requests("PATCH", "fargateprofiles/status"), 1);
}

}  // namespace
}  // namespace farlet::webhook
