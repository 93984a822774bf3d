#include "runtime/cri/grpc_client.h"

#include "tests/unit/runtime/cri/cri_test_support.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

namespace farlet::cri {
namespace {

using testing::FakeContainer;

class GrpcClientTest : public CriTest {
 protected:
  farlet::Status Stop(const ContainerId& id, seconds grace) {
    return Await<void>([&](auto done) { client_->StopContainer(id, grace, std::move(done)); });
  }

  farlet::Status Remove(const ContainerId& id) {
    return Await<void>([&](auto done) { client_->RemoveContainer(id, std::move(done)); });
  }
};

SandboxConfig FullSandboxConfig() {
  SandboxConfig config = PodConfig("full", 3);
  config.hostname = "full";
  config.log_directory = "";
  config.dns = {.servers = {"10.0.0.10"}, .searches = {"a.b"}, .options = {"ndots:5"}};
  config.port_mappings = {{.protocol = PortMapping::Protocol::kUdp,
                           .container_port = 53,
                           .host_port = 5353,
                           .host_ip = "1.2.3.4"}};
  config.annotations = {{"a", "b"}};
  config.cgroup_parent = "/kubepods/podx";
  config.sysctls = {{"net.ipv4.ip_forward", "1"}};
  config.security = {
      .namespaces = {.network = NamespaceMode::kNode,
                     .pid = NamespaceMode::kContainer,
                     .ipc = NamespaceMode::kNode},
      .run_as_user = 0,
      .run_as_group = 7,
      .supplemental_groups = {8, 9},
      .readonly_rootfs = true,
      .privileged = true,
      .seccomp = {.type = SecurityProfile::Type::kLocalhost, .localhost_ref = "profile"}};
  config.overhead = LinuxResources{.cpu_shares = 5};
  config.resources = LinuxResources{.memory_limit_bytes = 1 << 20};
  return config;
}

ContainerConfig FullContainerConfig() {
  return {.metadata = {.name = "main", .attempt = 2},
          .image = "app:1",
          .user_specified_image = "registry/app:1",
          .command = {"sh", "-c"},
          .args = {"true", ""},
          .working_dir = "/work",
          .envs = {{.name = "A", .value = "1"}, {.name = "A", .value = "not utf-8: \xff"}},
          .mounts = {{.container_path = "/c",
                      .host_path = "/h",
                      .readonly = true,
                      .propagation = MountPropagation::kBidirectional}},
          .labels = {{"l", "1"}},
          .annotations = {{"an", "2"}},
          .log_path = "main/2.log",
          .stdin_open = true,
          .stdin_once = true,
          .tty = true,
          .resources = {.cpu_period = 100000,
                        .cpu_quota = 50000,
                        .cpu_shares = 512,
                        .memory_limit_bytes = 64 << 20,
                        .oom_score_adj = -997,
                        .unified = {{"memory.oom.group", "1"}}},
          .security = {.capabilities = {.add = {"NET_ADMIN"}, .drop = {"ALL"}},
                       .privileged = true,
                       .namespaces = {.pid = NamespaceMode::kPod},
                       .run_as_user = 1000,
                       .run_as_username = "app",
                       .run_as_group = 0,
                       .supplemental_groups = {5},
                       .readonly_rootfs = true,
                       .no_new_privs = true,
                       .masked_paths = {"/proc/kcore"},
                       .readonly_paths = {"/proc/sys"},
                       .seccomp = {.type = SecurityProfile::Type::kRuntimeDefault},
                       .apparmor = SecurityProfile{.type = SecurityProfile::Type::kUnconfined}}};
}

TEST_F(GrpcClientTest, CarriesEveryFieldOfTheConfigurations) {
  const SandboxConfig sandbox_config = FullSandboxConfig();
  const SandboxId sandbox = RunSandbox(sandbox_config);
  const ContainerConfig config = FullContainerConfig();
  const ContainerId container = Create(sandbox, config, sandbox_config);
  EXPECT_EQ(runtime_.FindSandbox("full")->config, sandbox_config);
  EXPECT_EQ(runtime_.FindSandbox("full")->runtime_handler, "runc");
  EXPECT_EQ(runtime_.Container(container.value)->config, config);
}

TEST_F(GrpcClientTest, ReportsSandboxes) {
  const SandboxConfig config = PodConfig("web", 1);
  const SandboxId id = RunSandbox(config);
  RunSandbox(PodConfig("other"));
  const auto status =
      Await<SandboxStatus>([&](auto done) { client_->PodSandboxStatus(id, std::move(done)); });
  ASSERT_TRUE(status);
  EXPECT_EQ(status->sandbox.id, id);
  EXPECT_EQ(status->sandbox.metadata, config.metadata);
  EXPECT_EQ(status->sandbox.state, SandboxState::kReady);
  EXPECT_EQ(status->sandbox.labels, config.labels);
  EXPECT_EQ(status->sandbox.runtime_handler, "runc");
  EXPECT_GT(status->sandbox.created_at, WallTime());
  EXPECT_EQ(status->ips.size(), 1U);

  const auto list = Await<std::vector<Sandbox>>([&](auto done) {
    client_->ListPodSandbox({{labels::kPodUid, "uid-web"}}, std::move(done));
  });
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ(list->front(), status->sandbox);
  EXPECT_EQ(Await<std::vector<Sandbox>>([&](auto done) {
              client_->ListPodSandbox({}, std::move(done));
            })->size(),
            2U);
}

TEST_F(GrpcClientTest, FollowsAContainerToItsEnd) {
  const ContainerId id = RunPod("web");
  ContainerStatus status = ReadContainer(id);
  EXPECT_EQ(status.state, ContainerState::kRunning);
  EXPECT_GT(status.started_at, WallTime());
  EXPECT_EQ(status.finished_at, WallTime());
  runtime_.Exit(id.value, 7);
  status = ReadContainer(id);
  EXPECT_EQ(status.state, ContainerState::kExited);
  EXPECT_EQ(status.exit_code, 7);
  EXPECT_EQ(status.reason, "Error");
  EXPECT_EQ(status.image, "app:1");
  EXPECT_EQ(status.metadata.name, "main");
  EXPECT_GE(status.finished_at, status.started_at);
}

TEST_F(GrpcClientTest, StopsWithGrace) {
  runtime_.SetBehavior("main", {.ignore_term = true});
  const ContainerId id = RunPod("web");
  EXPECT_TRUE(Stop(id, seconds(0)));
  EXPECT_EQ(ReadContainer(id).exit_code, 137);
}

TEST_F(GrpcClientTest, StopAndRemoveOfSomethingGoneSucceed) {
  runtime_.Inject({.rpc = "StopContainer", .error = NotFound("no such container")});
  runtime_.Inject({.rpc = "RemoveContainer", .error = NotFound("no such container")});
  runtime_.Inject({.rpc = "StopPodSandbox", .error = NotFound("no such sandbox")});
  runtime_.Inject({.rpc = "RemovePodSandbox", .error = NotFound("no such sandbox")});
  EXPECT_TRUE(Stop({"gone"}, seconds(1)));
  EXPECT_TRUE(Remove({"gone"}));
  EXPECT_TRUE(Await<void>([&](auto done) { client_->StopPodSandbox({"gone"}, std::move(done)); }));
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->RemovePodSandbox({"gone"}, std::move(done)); }));
}

TEST_F(GrpcClientTest, PassesTheRuntimesOwnWordsOn) {
  const auto status = Await<ContainerStatus>(
      [&](auto done) { client_->ContainerStatus({"gone"}, std::move(done)); });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kNotFound);
  EXPECT_EQ(status.error().message, "an error occurred when try to find container: not found");
}

TEST_F(GrpcClientTest, RefusesAnAnswerWithoutUrl) {
  runtime_.SetStreamUrl("");
  const auto url = Await<std::string>(
      [&](auto done) { client_->Exec({.container = {"c"}, .command = {"sh"}}, std::move(done)); });
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().code, Code::kInternal);
  EXPECT_EQ(url.error().message, "answer of Exec lacks url");
}

TEST_F(GrpcClientTest, PullsWithCredentials) {
  runtime_.AddRemoteImage("private:1", {.uid = 1000, .pull_username = "u", .pull_password = "p"});
  const auto pull = [&](const ImageAuth& auth) {
    return Await<std::string>(
        [&](auto done) { client_->PullImage("private:1", auth, nullptr, std::move(done)); });
  };
  const auto status = [&] {
    return Await<std::shared_ptr<const Image>>(
        [&](auto done) { client_->ImageStatus("private:1", std::move(done)); });
  };
  EXPECT_EQ(*status(), nullptr);
  EXPECT_FALSE(pull({}));
  const ImageAuth auth{.username = "u", .password = "p", .server_address = "private"};
  const auto ref = pull(auth);
  ASSERT_TRUE(ref);
  EXPECT_EQ(runtime_.LastAuth(), auth);
  const auto image = status();
  ASSERT_TRUE(image && *image);
  EXPECT_EQ((*image)->id, *ref);
  EXPECT_EQ((*image)->uid, 1000);
  const auto images =
      Await<std::vector<Image>>([&](auto done) { client_->ListImages(std::move(done)); });
  ASSERT_TRUE(images);
  EXPECT_EQ(images->size(), 2U);  // with app:1
}

TEST_F(GrpcClientTest, ExecSyncGivesOutputAndCode) {
  runtime_.SetExec([](const FakeContainer& container,
                      const std::vector<std::string>& command) -> Result<ExecSyncResult> {
    if (command.front() == "slow") {
      return MakeError(Code::kDeadlineExceeded, "timeout 1s exceeded");
    }
    return ExecSyncResult{
        .stdout_text = container.config.metadata.name, .stderr_text = "\xff", .exit_code = 3};
  });
  const ContainerId id = RunPod("web");
  const auto exec = [&](const std::string& command) {
    return Await<ExecSyncResult>(
        [&](auto done) { client_->ExecSync(id, {command}, seconds(1), std::move(done)); });
  };
  EXPECT_EQ(*exec("name"),
            (ExecSyncResult{.stdout_text = "main", .stderr_text = "\xff", .exit_code = 3}));
  EXPECT_EQ(exec("slow").error().code, Code::kDeadlineExceeded);
}

TEST_F(GrpcClientTest, AsksForStreams) {
  const ContainerId id = RunPod("web");
  runtime_.SetStreamUrl("http://127.0.0.1:9/token");
  const StreamOptions options{.container = id,
                              .command = {"sh", "-c", "true"},
                              .stdin_open = true,
                              .stdout_open = true,
                              .tty = true};
  EXPECT_EQ(*Await<std::string>([&](auto done) { client_->Exec(options, std::move(done)); }),
            "http://127.0.0.1:9/token");
  EXPECT_EQ(runtime_.LastStream(), options);
  EXPECT_TRUE(Await<std::string>([&](auto done) { client_->Attach(options, std::move(done)); }));
  EXPECT_TRUE(Await<std::string>([&](auto done) {
    client_->PortForward({runtime_.Sandboxes().front().id}, {80}, std::move(done));
  }));
}

TEST_F(GrpcClientTest, AsksTheRuntimeAboutItself) {
  EXPECT_EQ(Await<RuntimeVersion>([&](auto done) { client_->Version(std::move(done)); }),
            (RuntimeVersion{.runtime_name = "containerd",
                            .runtime_version = "2.0.0-fake",
                            .runtime_api_version = "v1"}));
  const auto status = Await<RuntimeStatus>([&](auto done) { client_->Status(std::move(done)); });
  ASSERT_TRUE(status);
  EXPECT_EQ(status->conditions.size(), 2U);
  EXPECT_EQ(Await<std::string>([&](auto done) { client_->CgroupDriver(std::move(done)); }),
            "cgroupfs");
  EXPECT_TRUE(
      Await<void>([&](auto done) { client_->UpdatePodCidr("10.1.0.0/24", std::move(done)); }));
  EXPECT_EQ(runtime_.PodCidr(), "10.1.0.0/24");
  const auto usage = Await<std::vector<FilesystemUsage>>(
      [&](auto done) { client_->ImageFsInfo(std::move(done)); });
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->front().mountpoint, "/var/lib/fake");
}

TEST_F(GrpcClientTest, FindsARestartedRuntimeAgain) {
  runtime_.Stop();
  const auto version = [&] {
    return Await<RuntimeVersion>([&](auto done) { client_->Version(std::move(done)); });
  };
  const auto gone = version();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kUnavailable);
  EXPECT_TRUE(gone.error().retryable);
  EXPECT_NE(gone.error().message.find(runtime_.endpoint()), std::string::npos);
  runtime_.Start();
  EXPECT_TRUE(Eventually([&] { return version().has_value(); }));
}

TEST_F(GrpcClientTest, CancelsWhatIsInFlightWhenDestroyed) {
  runtime_.Inject({.rpc = "RunPodSandbox", .hold = true});
  std::atomic<int> cancelled{0};
  client_->RunPodSandbox(PodConfig("web"), "runc", [&](const Result<SandboxId>& id) {
    cancelled += !id && id.error().code == Code::kCancelled ? 1 : 0;
  });
  ASSERT_TRUE(Eventually([&] { return runtime_.Held("RunPodSandbox") == 1; }));
  client_.reset();
  EXPECT_EQ(cancelled, 1);
}

TEST(ConnectGrpcClientTest, NamesABadEndpoint) {
  for (const std::string endpoint :
       {"", "tcp://127.0.0.1:1", "unix://relative/path", "run/containerd.sock"}) {
    const auto client = ConnectGrpcClient(endpoint);
    ASSERT_FALSE(client) << endpoint;
    EXPECT_EQ(client.error().code, Code::kInvalidArgument);
    EXPECT_NE(client.error().message.find("\"" + endpoint + "\""), std::string::npos);
  }
  EXPECT_FALSE(ConnectGrpcClient("unix:///" + std::string(107, 'a')));
  EXPECT_TRUE(ConnectGrpcClient("unix:///" + std::string(106, 'a')));
  EXPECT_TRUE(ConnectGrpcClient("/run/containerd.sock"));
}

}  // namespace
}  // namespace farlet::cri
