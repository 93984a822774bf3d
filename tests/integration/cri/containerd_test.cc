// The CRI client, the event source and the cache against a real containerd.
//
//   CONTAINERD_ADDRESS  the socket of a containerd whose CRI plugin works (not the host's own)
//   FARLET_TEST_IMAGE   an image with a shell that it can pull; default busybox:1.36
//   FARLET_CGROUP_PREFIX  of the cgroups that the test makes; default /farlet-

#include "runtime/cri/event_source.h"
#include "runtime/cri/grpc_client.h"
#include "runtime/cri/runtime_cache.h"
#include "runtime/cri/runtime_health.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace farlet::cri {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};
// From a container's end to its being seen (issue 3).
constexpr milliseconds kExitSeenWithin{300};

std::string Environment(const char* name, const std::string& otherwise) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read before any thread exists.
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto until = steady_clock::now() + kPatience;
  while (!condition()) {
    if (steady_clock::now() > until) {
      return false;
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

template <class Value, class Call>
Result<Value> Await(Call call) {
  const auto promise = std::make_shared<std::promise<Result<Value>>>();
  auto future = promise->get_future();
  call([promise](Result<Value> result) { promise->set_value(std::move(result)); });
  if (future.wait_for(kPatience) != std::future_status::ready) {
    return Internal("no answer");
  }
  return future.get();
}

// One pod of its own in the host's network, so that no CNI plugin is needed.
class ContainerdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string address = Environment("CONTAINERD_ADDRESS", "");
    ASSERT_FALSE(address.empty())
        << "CONTAINERD_ADDRESS is not set: it names the socket of the containerd to test against";
    endpoint_ = "unix://" + address;
    auto client = ConnectGrpcClient(endpoint_);
    ASSERT_TRUE(client) << client.error().message;
    client_ = std::move(*client);
    image_ = Environment("FARLET_TEST_IMAGE", "busybox:1.36");
    const auto now = steady_clock::now().time_since_epoch().count();
    uid_ = fmt::format("integration-{}-{}", ::getpid(), now);
    logs_ = std::filesystem::temp_directory_path() / uid_;
    std::filesystem::create_directories(logs_);
    cgroup_ = Environment("FARLET_CGROUP_PREFIX", "/farlet-") + "cri-test";
    config_ = {.metadata = {.name = "cri-test", .pod_namespace = "farlet-test", .uid = uid_},
               .log_directory = logs_.string(),
               .labels = {{labels::kPodUid, uid_}},
               .cgroup_parent = cgroup_ + "/pod" + uid_};
    config_.security.namespaces.network = NamespaceMode::kNode;
  }

  void TearDown() override {
    if (!sandbox_.empty()) {
      const auto stopped =
          Await<void>([&](auto done) { client_->StopPodSandbox(sandbox_, std::move(done)); });
      EXPECT_TRUE(stopped) << stopped.error().message;
      const auto removed =
          Await<void>([&](auto done) { client_->RemovePodSandbox(sandbox_, std::move(done)); });
      EXPECT_TRUE(removed) << removed.error().message;
    }
    std::filesystem::remove_all(logs_);
    // What runc leaves of the pod's cgroups (v1: one hierarchy each).
    for (const auto& hierarchy : std::filesystem::directory_iterator("/sys/fs/cgroup")) {
      std::error_code ignored;
      std::filesystem::remove(hierarchy.path() / config_.cgroup_parent.substr(1), ignored);
      std::filesystem::remove(hierarchy.path() / cgroup_.substr(1), ignored);
    }
  }

  void RunSandbox() {
    const auto id = Await<SandboxId>(
        [&](auto done) { client_->RunPodSandbox(config_, "runc", std::move(done)); });
    ASSERT_TRUE(id) << id.error().message;
    sandbox_ = *id;
  }

  void Pull() {
    const auto ref = Await<std::string>(
        [&](auto done) { client_->PullImage(image_, {}, &config_, std::move(done)); });
    ASSERT_TRUE(ref) << ref.error().message;
    image_ref_ = *ref;
  }

  Result<ContainerId> Run(const std::string& name, const std::string& script) {
    ContainerConfig config{.metadata = {.name = name},
                           .image = image_ref_,
                           .user_specified_image = image_,
                           .command = {"/bin/sh", "-c", script},
                           .labels = {{labels::kPodUid, uid_}, {labels::kContainerName, name}},
                           .log_path = name + "/0.log"};
    config.security.namespaces.network = NamespaceMode::kNode;
    std::filesystem::create_directories(logs_ / name);
    FARLET_ASSIGN(const ContainerId id, Await<ContainerId>([&](auto done) {
                    client_->CreateContainer(sandbox_, config, config_, std::move(done));
                  }));
    FARLET_TRY(Await<void>([&](auto done) { client_->StartContainer(id, std::move(done)); }));
    return id;
  }

  Result<ContainerStatus> Read(const ContainerId& id) {
    return Await<ContainerStatus>(
        [&](auto done) { client_->ContainerStatus(id, std::move(done)); });
  }

  std::string endpoint_;
  std::string image_;
  std::string image_ref_;
  std::string uid_;
  std::filesystem::path logs_;
  std::string cgroup_;
  SandboxConfig config_;
  SandboxId sandbox_;
  std::unique_ptr<Client> client_;
};

TEST_F(ContainerdTest, TellsVersionAndStatus) {
  const auto version = Await<RuntimeVersion>([&](auto done) { client_->Version(std::move(done)); });
  ASSERT_TRUE(version) << version.error().message;
  EXPECT_EQ(version->runtime_name, "containerd");
  EXPECT_EQ(version->runtime_api_version, "v1");
  const auto status = Await<RuntimeStatus>([&](auto done) { client_->Status(std::move(done)); });
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->conditions.size(), 2U);
  const auto usage = Await<std::vector<FilesystemUsage>>(
      [&](auto done) { client_->ImageFsInfo(std::move(done)); });
  ASSERT_TRUE(usage) << usage.error().message;
  EXPECT_FALSE(usage->empty());
}

TEST_F(ContainerdTest, SaysWhenThereIsNoSuchThing) {
  const auto status = Read({"0123456789abcdef"});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNotFound);
  EXPECT_TRUE(Await<void>(
      [&](auto done) { client_->StopContainer({"0123456789"}, seconds(1), std::move(done)); }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemoveContainer({"0123456789"}, std::move(done)); }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->StopPodSandbox({"0123456789"}, std::move(done)); }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemovePodSandbox({"0123456789"}, std::move(done)); }));
  const auto image = Await<std::shared_ptr<const Image>>(
      [&](auto done) { client_->ImageStatus("no.such/image:1", std::move(done)); });
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(*image, nullptr);
}

TEST_F(ContainerdTest, RunsAContainerWithLogsAndExec) {
  ASSERT_NO_FATAL_FAILURE(RunSandbox());
  ASSERT_NO_FATAL_FAILURE(Pull());
  const auto id = Run("main", "echo hello; exec sleep 1000");
  ASSERT_TRUE(id) << id.error().message;
  const auto status = Read(*id);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->state, ContainerState::kRunning);
  EXPECT_EQ(status->labels.at(labels::kPodUid), uid_);
  EXPECT_EQ(status->image_ref.empty(), false);

  const auto exec = [&](const std::string& script, seconds timeout) {
    return Await<ExecSyncResult>([&](auto done) {
      client_->ExecSync(*id, {"/bin/sh", "-c", script}, timeout, std::move(done));
    });
  };
  const auto result = exec("echo out; echo err >&2; exit 3", seconds(10));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(*result,
            (ExecSyncResult{.stdout_text = "out\n", .stderr_text = "err\n", .exit_code = 3}));
  const auto slow = exec("sleep 30", seconds(1));
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code, Code::kDeadlineExceeded) << slow.error().message;

  const std::string path = (logs_ / "main/0.log").string();
  EXPECT_EQ(status->log_path, path);
  std::string content;
  EXPECT_TRUE(Eventually([&] {
    std::ifstream file(path);
    content.assign(std::istreambuf_iterator<char>(file), {});
    return content.find("stdout F hello\n") != std::string::npos;
  })) << content;

  std::filesystem::rename(path, path + ".rotated");
  EXPECT_TRUE(Await<void>([&](auto done) { client_->ReopenContainerLog(*id, std::move(done)); }));
  EXPECT_TRUE(std::filesystem::exists(path));
  const auto url = Await<std::string>([&](auto done) {
    client_->Exec({.container = *id, .command = {"true"}, .stdout_open = true}, std::move(done));
  });
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->rfind("http://127.0.0.1:", 0), 0U) << *url;

  const auto begin = steady_clock::now();
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->StopContainer(*id, seconds(1), std::move(done)); }));
  EXPECT_LT(steady_clock::now() - begin, seconds(20));
  const auto ended = Read(*id);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->state, ContainerState::kExited);
  EXPECT_EQ(ended->exit_code, 137);  // sleep as process 1 ignores SIGTERM
  EXPECT_TRUE(Await<void>([&](auto done) { client_->RemoveContainer(*id, std::move(done)); }));
  EXPECT_EQ(Read(*id).error().code, Code::kNotFound);
}

TEST_F(ContainerdTest, TheCacheSeesAnExitWithinItsTime) {
  const RealClock clock;
  TimerService timers(clock);
  RuntimeCache cache(*client_, clock, timers);
  cache.Start();
  std::atomic<bool> resumed{false};
  auto source = FollowEvents(endpoint_, clock, timers, [&](const EventNotice& notice) {
    cache.OnEvent(notice);
    resumed = resumed || std::holds_alternative<EventsResumed>(notice);
  });
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_TRUE(Eventually([&] { return resumed && cache.Synced(); }));

  ASSERT_NO_FATAL_FAILURE(RunSandbox());
  ASSERT_NO_FATAL_FAILURE(Pull());
  const auto id = Run("main", "while true; do sleep 0.2; [ -e /tmp/go ] && exit 4; done");
  ASSERT_TRUE(id) << id.error().message;
  const auto pod = Await<PodRuntimePtr>([&](auto done) { cache.Refresh(uid_, std::move(done)); });
  ASSERT_TRUE(pod && *pod);
  EXPECT_EQ((*pod)->CurrentSandbox()->sandbox.id, sandbox_);

  ASSERT_TRUE(Await<ExecSyncResult>([&](auto done) {
    client_->ExecSync(*id, {"touch", "/tmp/go"}, seconds(10), std::move(done));
  }));
  ASSERT_TRUE(Eventually([&] {
    const PodRuntimePtr now = cache.Get(uid_);
    return now && now->containers.front().status.state == ContainerState::kExited;
  }));
  const auto seen = std::chrono::system_clock::now();
  const ContainerStatus status = cache.Get(uid_)->containers.front().status;
  EXPECT_EQ(status.exit_code, 4);
  const auto delay = std::chrono::duration_cast<milliseconds>(seen - status.finished_at);
  RecordProperty("exit_seen_after_ms", static_cast<int>(delay.count()));
  EXPECT_LT(delay.count(), kExitSeenWithin.count());

  EXPECT_TRUE(Await<void>([&](auto done) { client_->RemoveContainer(*id, std::move(done)); }));
  EXPECT_TRUE(Eventually([&] { return cache.Get(uid_)->containers.empty(); }));
  EXPECT_TRUE(Await<void>([&](auto done) { client_->StopPodSandbox(sandbox_, std::move(done)); }));
  EXPECT_TRUE(Eventually(
      [&] { return cache.Get(uid_)->CurrentSandbox()->sandbox.state == SandboxState::kNotReady; }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemovePodSandbox(sandbox_, std::move(done)); }));
  EXPECT_TRUE(Eventually([&] { return cache.Get(uid_) == nullptr; }));
  sandbox_ = {};
  source->reset();
}

}  // namespace
}  // namespace farlet::cri
