#include "proto/containerd/metrics/v2/metrics.pb.h"
#include "runtime/base/file.h"
#include "tests/unit/runtime/shim/shim_fixture.h"

#include <gmock/gmock.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace farlet::shim {
namespace {

namespace task = containerd::task::v2;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using TaskServiceTest = ShimFixture;

// Everything up to the end of the file, for which all writers have to be gone.
std::string ReadAll(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  ssize_t count = 0;
  while ((count = ::read(fd, buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text;
}

// containerd's end of a FIFO: opened without waiting, read with waiting.
UniqueFd OpenReader(const std::string& fifo) {
  UniqueFd fd(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_TRUE(fd.valid());
  return fd;
}

void MakeBlocking(const UniqueFd& fd) {
  EXPECT_EQ(::fcntl(fd.get(), F_SETFL, 0), 0);
}

TEST_F(TaskServiceTest, TellsAllOfAContainersLifeInOrder) {
  ASSERT_TRUE(CreateSandbox());
  const std::string out = Fifo("out");
  const UniqueFd reader = OpenReader(out);
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"echo", "hello", "world"}), {.out = out}));
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_CREATED);
  MakeBlocking(reader);
  ASSERT_TRUE(Start("c1"));
  EXPECT_EQ(*Wait("c1"), 0U);
  EXPECT_EQ(ReadAll(reader.get()), "hello world\n");
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_STOPPED);
  const auto deleted = Delete("c1");
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->exit_status(), 0U);
  EXPECT_GT(deleted->exited_at().seconds(), 0);
  EXPECT_THAT(events_->Wait(6), ElementsAre("create sandbox", "start sandbox", "create c1",
                                            "start c1", "exit c1 c1 0", "delete c1"));
  EXPECT_THAT(machine_->guest.containers(), IsEmpty());
  EXPECT_EQ(State("c1").error().code, Code::kNotFound);
}

TEST_F(TaskServiceTest, GivesTheGuestAnIdentityBeforeAnythingElse) {
  ASSERT_TRUE(CreateSandbox());
  const auto prepared = machine_->guest.prepared();
  ASSERT_EQ(prepared.size(), 1U);
  EXPECT_EQ(prepared[0].seed().size(), 64U);
  EXPECT_EQ(prepared[0].machine_id().size(), 32U);
  EXPECT_EQ(prepared[0].hostname(), "pod");
  EXPECT_GT(prepared[0].wall_time_ns(), 1700000000000000000);
}

TEST_F(TaskServiceTest, ASandboxIsNoProcessInTheGuest) {
  ASSERT_TRUE(CreateSandbox());
  EXPECT_THAT(machine_->guest.containers(), IsEmpty());
  EXPECT_EQ(State("sandbox")->status(), task::TASK_STATUS_RUNNING);
  EXPECT_EQ(State("sandbox")->pid(), 4711U);
  EXPECT_EQ(Exec("sandbox", "e", R"(["sleep"])").error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(Kill("sandbox", 17));  // SIGCHLD ends nobody
  EXPECT_EQ(State("sandbox")->status(), task::TASK_STATUS_RUNNING);
  EXPECT_TRUE(Kill("sandbox", 9));
  EXPECT_EQ(*Wait("sandbox"), 137U);
  EXPECT_TRUE(Delete("sandbox"));
  EXPECT_THAT(events_->Wait(4), ElementsAre("create sandbox", "start sandbox",
                                            "exit sandbox sandbox 137", "delete sandbox"));
  EXPECT_TRUE(Call<wkt::Empty>("Shutdown", task::ShutdownRequest()));
  EXPECT_EQ(shutdowns_, 1);
}

TEST_F(TaskServiceTest, ShutdownIsIgnoredWhileThereIsAContainer) {
  ASSERT_TRUE(CreateSandbox());
  EXPECT_TRUE(Call<wkt::Empty>("Shutdown", task::ShutdownRequest()));
  EXPECT_EQ(shutdowns_, 0);
}

TEST_F(TaskServiceTest, ShutdownEndsACreateThatNobodyWaitsFor) {
  task::CreateTaskRequest request;
  request.set_id("sandbox");
  request.set_bundle(Bundle("sandbox", "sandbox").string());
  // Not booted: it waits.
  client_->Call<task::CreateTaskRequest, task::CreateTaskResponse>(
      "containerd.task.v2.Task", "Create", request, std::chrono::milliseconds(0),
      [](const Result<task::CreateTaskResponse>& /*created*/) {});
  EXPECT_TRUE(Call<wkt::Empty>("Shutdown", task::ShutdownRequest()));
  EXPECT_EQ(shutdowns_, 1);
}

TEST_F(TaskServiceTest, AContainerWithoutAPodHasAVmOfItsOwn) {
  Boot();
  ASSERT_TRUE(Create("single", Bundle("single", "", {"exit", "3"})));
  ASSERT_TRUE(Start("single"));
  EXPECT_EQ(*Wait("single"), 3U);
  ASSERT_TRUE(Delete("single"));
  EXPECT_THAT(machine_->guest.containers(), IsEmpty());
}

TEST_F(TaskServiceTest, WaitMayComeBeforeStart) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"exit", "7"})));
  Result<uint32_t> status = Internal("not answered");
  std::thread waiting([&] { status = Wait("c1"); });
  ASSERT_TRUE(Start("c1"));
  waiting.join();
  EXPECT_EQ(*status, 7U);
}

TEST_F(TaskServiceTest, CopiesInputToItsEnd) {
  ASSERT_TRUE(CreateSandbox());
  const std::string in = Fifo("in");
  const std::string out = Fifo("out");
  const UniqueFd reader = OpenReader(out);
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"cat"}), {.in = in, .out = out}));
  MakeBlocking(reader);
  ASSERT_TRUE(Start("c1"));
  {
    // Only now does somebody write, so the input was not at its end before.
    const UniqueFd writer(::open(in.c_str(), O_WRONLY | O_CLOEXEC));
    const std::string text(100000, 'x');
    ASSERT_EQ(::write(writer.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  EXPECT_EQ(ReadAll(reader.get()).size(), 100000U);
  EXPECT_EQ(*Wait("c1"), 0U);
}

TEST_F(TaskServiceTest, CloseIoEndsTheInputWhileAWriterIsThere) {
  ASSERT_TRUE(CreateSandbox());
  const std::string in = Fifo("in");
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"cat"}), {.in = in}));
  ASSERT_TRUE(Start("c1"));
  const UniqueFd writer(::open(in.c_str(), O_WRONLY | O_CLOEXEC));
  task::CloseIORequest request;
  request.set_id("c1");
  request.set_stdin(true);
  EXPECT_TRUE(Call<wkt::Empty>("CloseIO", request));
  EXPECT_EQ(*Wait("c1"), 0U);
}

TEST_F(TaskServiceTest, ExecsHaveALifeOfTheirOwn) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  const std::string err = Fifo("err");
  const UniqueFd reader = OpenReader(err);
  ASSERT_TRUE(Exec("c1", "e1", R"(["err","oops"])", {.err = err}));
  EXPECT_EQ(Exec("c1", "e1", R"(["sleep"])").error().code, Code::kAlreadyExists);
  MakeBlocking(reader);
  ASSERT_TRUE(Start("c1", "e1"));
  EXPECT_EQ(*Wait("c1", "e1"), 0U);
  EXPECT_EQ(ReadAll(reader.get()), "oops\n");
  EXPECT_TRUE(Delete("c1", "e1"));
  EXPECT_EQ(State("c1", "e1").error().code, Code::kNotFound);
  EXPECT_THAT(events_->Wait(7),
              ElementsAre("create sandbox", "start sandbox", "create c1", "start c1",
                          "exec-added c1 e1", "exec-started c1 e1", "exit c1 e1 0"));
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_RUNNING);
}

TEST_F(TaskServiceTest, WhatCannotBeStartedSaysWhyAndIsStopped) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"missing"})));
  const auto started = Start("c1");
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("executable file not found in $PATH"));
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_STOPPED);
  EXPECT_TRUE(Delete("c1"));
}

TEST_F(TaskServiceTest, AnExecThatCannotBeStartedCanBeDeleted) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  ASSERT_TRUE(Exec("c1", "e1", R"(["missing"])"));
  EXPECT_FALSE(Start("c1", "e1"));
  EXPECT_EQ(*Wait("c1", "e1"), 127U);
  EXPECT_TRUE(Delete("c1", "e1"));
}

TEST_F(TaskServiceTest, KillsWithTheSignal) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  EXPECT_EQ(Delete("c1").error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(Kill("c1", 15));
  EXPECT_EQ(*Wait("c1"), 143U);
  EXPECT_TRUE(Kill("c1", 9));  // late, but meant well
  EXPECT_EQ(Kill("c1", 1).error().code, Code::kNotFound);
  EXPECT_EQ(Kill("none", 9).error().code, Code::kNotFound);
}

TEST_F(TaskServiceTest, AContainerThatNeverRanCanBeKilledAndDeleted) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Kill("c1", 9));
  EXPECT_EQ(*Wait("c1"), 137U);
  ASSERT_TRUE(Delete("c1"));
  ASSERT_TRUE(Create("c2", Bundle("c2", "container")));
  ASSERT_TRUE(Delete("c2"));
  EXPECT_THAT(events_->Wait(8),
              ElementsAre("create sandbox", "start sandbox", "create c1", "exit c1 c1 137",
                          "delete c1", "create c2", "exit c2 c2 137", "delete c2"));
}

TEST_F(TaskServiceTest, KeepsATerminalsSizeForItsStart) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container"), {.terminal = true}));
  task::ResizePtyRequest request;
  request.set_id("c1");
  request.set_width(132);
  request.set_height(43);
  ASSERT_TRUE(Call<wkt::Empty>("ResizePty", request));
  EXPECT_THAT(machine_->guest.resized(), IsEmpty());
  ASSERT_TRUE(Start("c1"));
  ASSERT_TRUE(machine_->guest.WaitForCalls("ResizeTerminal", 1));
  EXPECT_EQ(machine_->guest.resized()[0].columns(), 132U);
  EXPECT_EQ(machine_->guest.resized()[0].rows(), 43U);
}

TEST_F(TaskServiceTest, PausesAndResumes) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  task::PauseRequest pause;
  pause.set_id("c1");
  task::ResumeRequest resume;
  resume.set_id("c1");
  EXPECT_EQ(Call<wkt::Empty>("Pause", pause).error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(Start("c1"));
  EXPECT_TRUE(Call<wkt::Empty>("Pause", pause));
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_PAUSED);
  EXPECT_TRUE(Call<wkt::Empty>("Resume", resume));
  EXPECT_EQ(State("c1")->status(), task::TASK_STATUS_RUNNING);
  EXPECT_THAT(events_->Wait(6), ElementsAre("create sandbox", "start sandbox", "create c1",
                                            "start c1", "paused c1", "resumed c1"));
}

TEST_F(TaskServiceTest, TellsOfMemoryBeforeTheExit) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  machine_->guest.RunOutOfMemory("c1", /*kill=*/true);
  EXPECT_EQ(*Wait("c1"), 137U);
  EXPECT_THAT(events_->Wait(6), ElementsAre("create sandbox", "start sandbox", "create c1",
                                            "start c1", "oom c1", "exit c1 c1 137"));
}

TEST_F(TaskServiceTest, WhenTheVmDiesEverythingHasExited) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  ASSERT_TRUE(Exec("c1", "e1", R"(["sleep"])"));
  ASSERT_TRUE(Start("c1", "e1"));
  ASSERT_TRUE(machine_->Kill());
  EXPECT_EQ(*Wait("c1"), 137U);
  EXPECT_EQ(*Wait("c1", "e1"), 137U);
  EXPECT_EQ(*Wait("sandbox"), 137U);
  const auto created = Create("c2", Bundle("c2", "container"));
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("killed by signal 9"));
  EXPECT_TRUE(Delete("c1"));
  EXPECT_TRUE(Delete("sandbox"));
}

TEST_F(TaskServiceTest, AVmThatCannotStartIsTheSandboxesError) {
  machine_->boot_error = MakeError(Code::kFailedPrecondition, "no kernel at /nowhere");
  Boot();
  const auto created = Create("sandbox", Bundle("sandbox", "sandbox"));
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("no kernel at /nowhere"));
  EXPECT_EQ(State("sandbox").error().code, Code::kNotFound);
  // Whatever of it runs ends now, not when containerd says Shutdown.
  EXPECT_EQ(machine_->released.get_future().wait_for(std::chrono::seconds(20)),
            std::future_status::ready);
}

TEST_F(TaskServiceTest, WithoutItsFileServerThePodIsLost) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  ASSERT_TRUE(Start("c1"));
  machine_->EndFileServer();
  EXPECT_EQ(*Wait("c1"), 137U);
  EXPECT_EQ(*Wait("sandbox"), 137U);
  const auto created = Create("c2", Bundle("c2", "container"));
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("its file server ended"));
}

TEST_F(TaskServiceTest, AFailedCreateLeavesNothing) {
  ASSERT_TRUE(CreateSandbox());
  std::filesystem::create_directories(folder_ / "data");
  const std::string mounts = R"([{"destination":"/data","type":"bind","source":")" +
                             (folder_ / "data").string() + R"(","options":["rbind","ro"]}])";
  machine_->guest.Refuse("CreateContainer", MakeError(Code::kInvalidArgument, "no such option"));
  const auto created = Create("c1", Bundle("c1", "container", {"sleep"}, mounts));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kInvalidArgument);
  EXPECT_THAT(created.error().message, HasSubstr("guest CreateContainer: no such option"));
  ASSERT_TRUE(machine_->guest.WaitForCalls("DeleteContainer", 1));
  // The id can be used again, which also waits for what the pool still had to do.
  ASSERT_FALSE(Create("c1", Bundle("c1", "container", {"sleep"}, mounts)));
}

TEST_F(TaskServiceTest, SharesWhatIsMountedAndGivesItBack) {
  ASSERT_TRUE(CreateSandbox());
  std::filesystem::create_directories(folder_ / "data");
  const std::string mounts = R"([{"destination":"/data","type":"bind","source":")" +
                             (folder_ / "data").string() + R"(","options":["rbind","ro"]}])";
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"sleep"}, mounts)));
  EXPECT_THAT(machine_->Shared(), ElementsAre("data ro"));
  const auto created = machine_->guest.created();
  ASSERT_EQ(created.size(), 1U);
  EXPECT_EQ(created[0].mounts(0).share_path(), "s/1");
  EXPECT_EQ(created[0].rootfs().layers(0).image_device(), "vdb");
}

TEST_F(TaskServiceTest, CopiesVolumesOfTheApiAndTheirUpdates) {
  ASSERT_TRUE(CreateSandbox());
  const auto volume = folder_ / "volumes" / "kubernetes.io~configmap" / "conf";
  const auto write = [&](const std::string& version, const std::string& content) {
    std::filesystem::create_directories(volume / version);
    EXPECT_TRUE(WriteFileAtomic(volume / version / "key", content, 0644));
    std::filesystem::create_symlink(version, volume / "..tmp");
    std::filesystem::rename(volume / "..tmp", volume / "..data");
  };
  write("..one", "1");
  const std::string mounts = R"([{"destination":"/etc/conf","type":"bind","source":")" +
                             volume.string() + R"(","options":["rbind","ro"]}])";
  ASSERT_TRUE(Create("c1", Bundle("c1", "container", {"sleep"}, mounts)));
  ASSERT_EQ(machine_->guest.synced().size(), 1U);
  const auto first = machine_->guest.synced()[0];
  EXPECT_TRUE(first.first());
  EXPECT_TRUE(first.last());
  ASSERT_EQ(first.files_size(), 2);
  EXPECT_EQ(first.files(1).path(), "key");
  EXPECT_EQ(first.files(1).data(), "1");
  EXPECT_EQ(machine_->guest.created()[0].mounts(0).volume(), "conf");
  write("..two", "2");
  ASSERT_TRUE(machine_->guest.WaitForCalls("SyncVolume", 2));
  EXPECT_EQ(machine_->guest.synced()[1].files(1).data(), "2");
  EXPECT_GT(machine_->guest.synced()[1].generation(), first.generation());
}

TEST_F(TaskServiceTest, ReportsStatsAsTheHostsCgroupsWould) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  task::StatsRequest request;
  request.set_id("c1");
  const auto stats = Call<task::StatsResponse>("Stats", request);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->stats().type_url(), "io.containerd.cgroups.v2.Metrics");
  io::containerd::cgroups::v2::Metrics metrics;
  ASSERT_TRUE(metrics.ParseFromString(stats->stats().value()));
  EXPECT_EQ(metrics.cpu().user_usec(), 2000U);
  EXPECT_EQ(metrics.cpu().system_usec(), 1000U);
  EXPECT_EQ(metrics.memory().usage(), 4096U);
}

TEST_F(TaskServiceTest, UpdatesWithCgroup2Values) {
  ASSERT_TRUE(CreateSandbox());
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
  task::UpdateTaskRequest request;
  request.set_id("c1");
  request.mutable_resources()->set_value(R"({"cpu":{"shares":1024},"memory":{"limit":1048576}})");
  ASSERT_TRUE(Call<wkt::Empty>("Update", request));
  ASSERT_EQ(machine_->guest.updated().size(), 1U);
  EXPECT_EQ(machine_->guest.updated()[0].resources().cpu_weight(), 39U);
  EXPECT_EQ(machine_->guest.updated()[0].resources().memory_max(), 1048576);
}

TEST_F(TaskServiceTest, ConnectTellsTheShimsPid) {
  ASSERT_TRUE(CreateSandbox());
  task::ConnectRequest request;
  request.set_id("sandbox");
  EXPECT_EQ(Call<task::ConnectResponse>("Connect", request)->task_pid(), 4711U);
  EXPECT_EQ(Call<task::ConnectResponse>("Connect", request)->shim_pid(),
            static_cast<uint32_t>(::getpid()));
  request.set_id("unknown");
  EXPECT_EQ(Call<task::ConnectResponse>("Connect", request)->task_pid(), 0U);
  EXPECT_EQ(Call<wkt::Empty>("Checkpoint", task::CheckpointTaskRequest()).error().code,
            Code::kUnimplemented);
}

TEST_F(TaskServiceTest, RefusesWhatItCannotServe) {
  ASSERT_TRUE(CreateSandbox());
  EXPECT_EQ(Create("../c1", Bundle("c1", "container")).error().code, Code::kInvalidArgument);
  EXPECT_EQ(Create("sandbox", Bundle("sandbox", "sandbox")).error().code, Code::kAlreadyExists);
  EXPECT_EQ(
      Create("c1", Bundle("c1", "container"), {.out = "binary-v2:///bin/logger"}).error().code,
      Code::kUnimplemented);
  EXPECT_EQ(Create("c1", folder_ / "missing").error().code, Code::kNotFound);
  ASSERT_TRUE(Create("c1", Bundle("c1", "container")));
}

}  // namespace
}  // namespace farlet::shim
