#include "provider/pod/image_puller.h"

#include "runtime/cri/grpc_client.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/fakes/cri/fake_cri_server.h"
#include "tests/unit/provider/pod/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

namespace farlet::pod {
namespace {

using ::testing::ElementsAre;
using testing::FakeCriServer;

class ImagePullerTest : public ::testing::Test {
 protected:
  using Outcome = ImagePuller::Outcome;

  ImagePuller::Request Ask(const std::string& image,
                           const std::string& policy = "IfNotPresent",
                           const std::string& pod = "web") {
    auto object = std::make_shared<kube::Pod>();
    object->meta = {.uid = "u-" + pod, .object_namespace = "ns", .name = pod};
    return {.pod = object, .container = "c", .image = image, .policy = policy};
  }

  std::future<Outcome> Start(ImagePuller::Request request) {
    auto promise = std::make_shared<std::promise<Outcome>>();
    auto future = promise->get_future();
    puller_.Ensure(std::move(request),
                   [promise](Outcome outcome) { promise->set_value(std::move(outcome)); });
    return future;
  }

  Outcome Ensure(ImagePuller::Request request) { return Start(std::move(request)).get(); }

  FakeCriServer runtime_;
  testing::FakeClock clock_;
  testing::EventLog events_;
  std::unique_ptr<cri::Client> client_ = std::move(*cri::ConnectGrpcClient(runtime_.endpoint()));
  ImagePuller puller_{*client_, PodEvents(events_), clock_, {}};
};

TEST_F(ImagePullerTest, PresentImage) {
  runtime_.AddImage("app:1", {.id = "sha256:1", .uid = 5});
  const Outcome outcome = Ensure(Ask("app:1"));
  ASSERT_TRUE(outcome.image);
  EXPECT_EQ(outcome.image->ref, "sha256:1");
  EXPECT_EQ(outcome.image->uid, 5);
  // Seen a moment ago: not asked for again.
  Ensure(Ask("app:1"));
  EXPECT_EQ(runtime_.Calls("ImageStatus"), 1);
  puller_.Distrust("app:1");
  Ensure(Ask("app:1"));
  EXPECT_EQ(runtime_.Calls("ImageStatus"), 2);
}

TEST_F(ImagePullerTest, Never) {
  const Outcome outcome = Ensure(Ask("app:1", "Never"));
  EXPECT_EQ(outcome.failure.reason, "ErrImageNeverPull");
  EXPECT_EQ(outcome.failure.message,
            "Container image \"app:1\" is not present with pull policy of Never");
  EXPECT_THAT(
      events_.Of("web"),
      ElementsAre("ErrImageNeverPull: Container image \"app:1\" is not present with pull policy "
                  "of Never",
                  "Failed: Error: ErrImageNeverPull"));
}

TEST_F(ImagePullerTest, InvalidName) {
  EXPECT_EQ(Ensure(Ask("UPPER/:x")).failure.reason, "InvalidImageName");
  EXPECT_EQ(runtime_.TotalCalls(), 0);
}

TEST_F(ImagePullerTest, InspectionFails) {
  runtime_.Inject({.rpc = "ImageStatus", .error = Internal("disk")});
  const Outcome outcome = Ensure(Ask("app:1"));
  EXPECT_EQ(outcome.failure.reason, "ImageInspectError");
  EXPECT_EQ(outcome.failure.message,
            "Failed to inspect image \"app:1\": rpc error: code = Internal desc = disk");
}

TEST_F(ImagePullerTest, Pulls) {
  runtime_.AddRemoteImage("app:1", {.size_bytes = 42});
  ASSERT_TRUE(Ensure(Ask("app:1")).image);
  EXPECT_THAT(events_.Of("web"),
              ElementsAre("Pulling: Pulling image \"app:1\"",
                          "Pulled: Successfully pulled image \"app:1\" in 0s (0s including "
                          "waiting). Image size: 42 bytes."));
}

TEST_F(ImagePullerTest, AlwaysPullsAgain) {
  runtime_.AddImage("app:1");
  ASSERT_TRUE(Ensure(Ask("app:1", "Always")).image);
  ASSERT_TRUE(Ensure(Ask("app:1", "Always")).image);
  EXPECT_EQ(runtime_.Calls("PullImage"), 2);
}

TEST_F(ImagePullerTest, BackOff) {
  runtime_.AddRemoteImage("app:1", {.pull_error = NotFound("no such image")});
  const std::string error = "rpc error: code = NotFound desc = no such image";
  Outcome outcome = Ensure(Ask("app:1"));
  EXPECT_EQ(outcome.failure.reason, "ErrImagePull");
  EXPECT_EQ(outcome.failure.message, error);
  EXPECT_EQ(outcome.retry_at, clock_.Now() + seconds(2));
  outcome = Ensure(Ask("app:1"));
  EXPECT_EQ(outcome.failure.reason, "ImagePullBackOff");
  EXPECT_EQ(outcome.failure.message, "Back-off pulling image \"app:1\": ErrImagePull: " + error);
  EXPECT_EQ(outcome.retry_at, clock_.Now() + seconds(10));
  EXPECT_EQ(runtime_.Calls("PullImage"), 1);
  // Another pod is not held back.
  EXPECT_EQ(Ensure(Ask("app:1", "IfNotPresent", "other")).failure.reason, "ErrImagePull");
  for (const int wait : {10, 20, 40, 80, 160, 300, 300}) {
    clock_.Advance(seconds(wait));
    EXPECT_EQ(Ensure(Ask("app:1")).failure.reason, "ErrImagePull") << wait;
    EXPECT_EQ(Ensure(Ask("app:1")).failure.reason, "ImagePullBackOff") << wait;
  }
  puller_.Forget("u-web");
  EXPECT_EQ(Ensure(Ask("app:1")).failure.reason, "ErrImagePull");
  clock_.Advance(seconds(10));
  runtime_.AddRemoteImage("app:1", {});
  EXPECT_TRUE(Ensure(Ask("app:1")).image);
}

TEST_F(ImagePullerTest, TriesEveryCredential) {
  runtime_.AddRemoteImage("app:1", {.pull_username = "u", .pull_password = "right"});
  ImagePuller::Request request = Ask("app:1");
  request.credentials = {{.username = "u", .password = "wrong"},
                         {.username = "u", .password = "right"}};
  EXPECT_TRUE(Ensure(request).image);
  EXPECT_EQ(runtime_.Calls("PullImage"), 2);
}

TEST_F(ImagePullerTest, OnePullForAllWhoAskAtOnce) {
  runtime_.AddRemoteImage("app:1", {.pull_takes = milliseconds(50)});
  std::vector<std::future<Outcome>> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(Start(Ask("app:1", "Always", "p" + std::to_string(i))));
  }
  for (auto& one : all) {
    EXPECT_TRUE(one.get().image);
  }
  EXPECT_EQ(runtime_.Calls("PullImage"), 1);
  // Other credentials are not allowed to profit from it.
  ImagePuller::Request other = Ask("app:1", "Always");
  other.credentials = {{.username = "x"}};
  auto first = Start(Ask("app:1", "Always"));
  auto second = Start(other);
  first.wait();
  second.wait();
  EXPECT_EQ(runtime_.Calls("PullImage"), 3);
}

}  // namespace
}  // namespace farlet::pod
