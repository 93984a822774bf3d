#include "provider/pod/lookup.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <utility>

namespace farlet::pod {
namespace {

using cri::ContainerState;
using nlohmann::json;

class LookupTest : public ::testing::Test {
 protected:
  LookupTest() {
    pod_->meta = {.uid = "u1", .object_namespace = "ns", .name = "web"};
    pod_->spec.containers = {kube::Container{.name = "c"}};
    pod_->raw = std::make_shared<const json>(json{{"metadata", {{"name", "web"}}}});
  }

  // The newest so far.
  void Add(const std::string& id, ContainerState state) {
    cri::ContainerStatus status;
    status.id = {id};
    status.metadata.name = "c";
    status.state = state;
    status.image = "img";
    status.log_path = "/logs/" + id;
    runtime_->containers.insert(runtime_->containers.begin(), {.sandbox = {"s"}, .status = status});
  }

  void AddSandbox(cri::SandboxState state) {
    cri::SandboxStatus status;
    status.sandbox.id = {"s"};
    status.sandbox.state = state;
    runtime_->sandboxes.push_back(status);
  }

  void Waits(const std::string& reason) {
    status_ = std::make_shared<const json>(json{
        {"containerStatuses", {{{"name", "c"}, {"state", {{"waiting", {{"reason", reason}}}}}}}}});
  }

  PodView View() const { return {.pod = pod_, .status = status_, .runtime = runtime_}; }

  std::string LogError(bool previous, const std::string& container = "c") {
    const auto log = FindContainerLog(View(), container, previous);
    return log ? "found " + log->id.value
               : std::to_string(log.error().http_status) + " " + log.error().message;
  }

  std::shared_ptr<kube::Pod> pod_ = std::make_shared<kube::Pod>();
  std::shared_ptr<cri::PodRuntime> runtime_ = std::make_shared<cri::PodRuntime>();
  std::shared_ptr<const json> status_;
};

TEST_F(LookupTest, LogsOfTheNewest) {
  Add("1", ContainerState::kExited);
  Add("2", ContainerState::kRunning);
  const auto log = FindContainerLog(View(), "c", false);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->path, "/logs/2");
  EXPECT_TRUE(log->running);
  EXPECT_EQ(LogError(true), "found 1");
}

TEST_F(LookupTest, LogsInACrashLoop) {
  Add("1", ContainerState::kExited);
  Waits("CrashLoopBackOff");
  EXPECT_EQ(LogError(false), "found 1");
  EXPECT_EQ(LogError(true), "found 1");
}

TEST_F(LookupTest, NoLogs) {
  EXPECT_EQ(LogError(false, "x"), "404 container \"x\" not found in pod \"web\"");
  EXPECT_EQ(LogError(true), "400 previous terminated container \"c\" in pod \"web\" not found");
  EXPECT_EQ(LogError(false),
            "400 container \"c\" in pod \"web\" is waiting to start: ContainerCreating");
  Waits("ErrImagePull");
  EXPECT_EQ(LogError(false),
            "400 container \"c\" in pod \"web\" is waiting to start: image can't be pulled");
  Waits("ImagePullBackOff");
  EXPECT_EQ(
      LogError(false),
      "400 container \"c\" in pod \"web\" is waiting to start: trying and failing to pull image");
}

TEST_F(LookupTest, Pods) {
  const std::vector<PodView> pods{View()};
  EXPECT_TRUE(FindPodView(pods, "ns", "web"));
  EXPECT_TRUE(FindPodView(pods, "ns", "web", "u1"));
  EXPECT_FALSE(FindPodView(pods, "ns", "web", "u2"));
  const auto missing = FindPodView(pods, "other", "web");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "pod \"web\" does not exist");
  EXPECT_EQ(missing.error().http_status, 404);
}

TEST_F(LookupTest, RunningThings) {
  EXPECT_FALSE(RunningContainer(View(), "c"));
  EXPECT_FALSE(RunningSandbox(View()));
  EXPECT_TRUE(RunningPodsJson({View()})["items"].empty());
  AddSandbox(cri::SandboxState::kReady);
  Add("1", ContainerState::kRunning);
  EXPECT_EQ(RunningContainer(View(), "c")->value, "1");
  EXPECT_EQ(RunningSandbox(View())->value, "s");
  const json running = RunningPodsJson({View()});
  EXPECT_EQ(running["items"][0]["spec"]["containers"][0]["name"], "c");
}

TEST_F(LookupTest, ListShowsOurStatus) {
  Waits("X");
  const json list = PodListJson({View()});
  EXPECT_EQ(list["kind"], "PodList");
  EXPECT_EQ(list["items"][0]["status"], *status_);
}

}  // namespace
}  // namespace farlet::pod
