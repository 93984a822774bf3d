#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>

namespace farlet::guest {
namespace {

using testing::HasSubstr;

class GuestLifecycle : public GuestTest {};

TEST_F(GuestLifecycle, HelloTellsVersionAndState) {
  v1::HelloRequest request;
  request.set_version(1);
  auto hello = Call<v1::HelloResponse>("Hello", request);
  ASSERT_TRUE(hello) << hello.error().message;
  EXPECT_EQ(hello->version(), 1u);
  EXPECT_FALSE(hello->prepared());
  EXPECT_FALSE(hello->kernel().empty());
  ASSERT_TRUE(Prepare());
  hello = Call<v1::HelloResponse>("Hello", request);
  ASSERT_TRUE(hello);
  EXPECT_TRUE(hello->prepared());
}

TEST_F(GuestLifecycle, HelloRefusesAnotherVersion) {
  v1::HelloRequest request;
  request.set_version(2);
  auto hello = Call<v1::HelloResponse>("Hello", request);
  ASSERT_FALSE(hello);
  EXPECT_EQ(hello.error().code, Code::kFailedPrecondition);
}

TEST_F(GuestLifecycle, NothingBeforePrepareAndOnlyOnePrepare) {
  auto created = Create(MakeShell("c", "true"));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(Prepare());
  const Status again = Prepare();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kFailedPrecondition);
}

TEST_F(GuestLifecycle, OutputAndExitCode) {
  ASSERT_TRUE(Prepare());
  auto outcome = Run(MakeShell("c", "echo out; echo err >&2; exit 7"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "out\n");
  EXPECT_EQ(outcome->err, "err\n");
  EXPECT_EQ(outcome->status, 7u);
}

TEST_F(GuestLifecycle, NothingRunsBeforeStart) {
  ASSERT_TRUE(Prepare());
  auto request = MakeShell("c", "echo ran > /share/ran");
  std::filesystem::create_directories(root() + "/share/d");
  v1::Mount* mount = request.add_mounts();
  mount->set_destination("/share");
  mount->set_share_path("d");
  mount->add_options("rbind");
  ASSERT_TRUE(Create(request));
  EXPECT_FALSE(std::filesystem::exists(root() + "/share/d/ran"));
  ASSERT_TRUE(Start("c"));
  ASSERT_TRUE(Wait("c"));
  EXPECT_TRUE(std::filesystem::exists(root() + "/share/d/ran"));
}

TEST_F(GuestLifecycle, WaitBeforeStartAndTwice) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "exit 3")));
  std::promise<Result<v1::WaitResponse>> early;
  v1::WaitRequest request;
  request.set_container_id("c");
  CallLater<v1::WaitResponse>(
      "Wait", request, [&](Result<v1::WaitResponse> exit) { early.set_value(std::move(exit)); });
  ASSERT_TRUE(Start("c"));
  auto exit = early.get_future().get();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 3u);
  EXPECT_GT(exit->exited_at_ns(), 0);
  EXPECT_FALSE(exit->oom_killed());
  auto again = Wait("c");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->exited_at_ns(), exit->exited_at_ns());
}

TEST_F(GuestLifecycle, ProgramThatIsNotThere) {
  ASSERT_TRUE(Prepare());
  auto created = Create(MakeContainer("c", {"nosuch"}));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kUnknown);
  EXPECT_THAT(created.error().message,
              HasSubstr("exec: \"nosuch\": executable file not found in $PATH"));
  created = Create(MakeContainer("c", {"/bin/nosuch"}));
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message,
              HasSubstr("exec: \"/bin/nosuch\": stat /bin/nosuch: no such file or directory"));
  created = Create(MakeContainer("c", {"/etc/passwd"}));
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("exec: \"/etc/passwd\": permission denied"));
  // Nothing was left behind: the id is free.
  auto outcome = Run(MakeShell("c", "true"));
  EXPECT_TRUE(outcome) << outcome.error().message;
}

TEST_F(GuestLifecycle, ProgramThatTheKernelRefuses) {
  ASSERT_TRUE(Prepare());
  const std::string path = root() + "/share/s/1/bin/broken";
  std::ofstream(path) << "no program\n";
  std::filesystem::permissions(path, std::filesystem::perms::all);
  ASSERT_TRUE(Create(MakeContainer("c", {"broken"})));
  const Status started = Start("c");
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, HasSubstr("exec /bin/broken: Exec format error"));
  ASSERT_TRUE(Wait("c"));
}

TEST_F(GuestLifecycle, IdsAreUniqueAndUnknownOnesAreTold) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "true")));
  auto again = Create(MakeShell("c", "true"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  const Status unknown = Start("d");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
}

TEST_F(GuestLifecycle, SignalsEndProcesses) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "trap 'exit 42' TERM; echo up; while :; do sleep 0.05; done")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  ASSERT_TRUE(Signal("c", SIGTERM));
  auto exit = Wait("c");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 42u);
  EXPECT_TRUE(Signal("c", SIGKILL)) << "one that has ended";
  ASSERT_TRUE(Create(MakeShell("d", "sleep 1000")));
  ASSERT_TRUE(Start("d"));
  ASSERT_TRUE(Signal("d", SIGKILL));
  exit = Wait("d");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 137u);
  EXPECT_FALSE(Signal("d", 0));
  EXPECT_FALSE(Signal("d", 65));
}

TEST_F(GuestLifecycle, SignalToAll) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(
      Create(MakeShell("c",
                       "(trap 'echo child; exit' USR1; echo up; while :; do sleep 0.05; done) & "
                       "trap '' USR1; wait; wait; echo end")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  v1::SignalRequest request;
  request.set_container_id("c");
  request.set_signal(SIGUSR1);
  request.set_all(true);
  // busybox's sleep dies of it too, the shell ignores it.
  ASSERT_TRUE(Call<v1::SignalResponse>("Signal", request));
  EXPECT_THAT(ReadUntil("c", "end"), HasSubstr("child"));
}

TEST_F(GuestLifecycle, DeleteKillsAndIsIdempotent) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "sleep 1000 & sleep 1000")));
  ASSERT_TRUE(Start("c"));
  std::promise<Result<v1::WaitResponse>> waiting;
  v1::WaitRequest request;
  request.set_container_id("c");
  CallLater<v1::WaitResponse>(
      "Wait", request, [&](Result<v1::WaitResponse> exit) { waiting.set_value(std::move(exit)); });
  ASSERT_TRUE(Delete("c"));
  auto exit = waiting.get_future().get();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 137u);
  EXPECT_TRUE(Delete("c"));
  EXPECT_FALSE(Wait("c"));
  // A created one as well.
  ASSERT_TRUE(Create(MakeShell("c", "true")));
  EXPECT_TRUE(Delete("c"));
}

TEST_F(GuestLifecycle, ExecInARunningContainer) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "echo data > /tmp/file; echo up; sleep 1000")));
  auto early = Exec("c", "e", MakeProcess({"true"}));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  auto outcome = RunExec(
      "c",
      MakeProcess({"sh", "-c",
                   "cat /tmp/file; readlink /proc/1/ns/pid; readlink /proc/self/ns/pid; exit 5"}));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->status, 5u);
  EXPECT_THAT(outcome->out, HasSubstr("data\npid:"));
  const std::string spaces = outcome->out.substr(5);
  EXPECT_EQ(spaces.substr(0, spaces.size() / 2), spaces.substr(spaces.size() / 2));
  outcome = RunExec("c", MakeProcess({"nosuch"}));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("exec: \"nosuch\": executable file not found"));
  ASSERT_TRUE(Exec("c", "twice", MakeProcess({"sleep", "1000"})));
  auto twice = Exec("c", "twice", MakeProcess({"sleep", "1000"}));
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Code::kAlreadyExists);
  ASSERT_TRUE(Signal("c", SIGTERM, "twice"));
  auto exit = Wait("c", "twice");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 143u);
  ASSERT_TRUE(Signal("c", SIGKILL));
  ASSERT_TRUE(Wait("c"));
  EXPECT_FALSE(Exec("c", "late", MakeProcess({"true"})));
}

TEST_F(GuestLifecycle, ProcessesOfAContainer) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "echo up; sleep 1000")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  auto pid = Exec("c", "e", MakeProcess({"sleep", "1000"}));
  ASSERT_TRUE(pid);
  v1::ListProcessesRequest request;
  request.set_id("c");
  auto list = Call<v1::ListProcessesResponse>("ListProcesses", request);
  ASSERT_TRUE(list);
  EXPECT_GE(list->processes_size(), 2);
  bool found = false;
  for (const auto& info : list->processes()) {
    found = found || (info.pid() == *pid && info.exec_id() == "e");
  }
  EXPECT_TRUE(found);
}

TEST_F(GuestLifecycle, PauseAndResume) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "while :; do echo tick; sleep 0.02; done")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "tick");
  v1::PauseRequest pause;
  pause.set_id("c");
  auto paused = Call<v1::PauseResponse>("Pause", pause);
  ASSERT_TRUE(paused) << paused.error().message;
  auto exec = Exec("c", "e", MakeProcess({"true"}));
  ASSERT_FALSE(exec);
  EXPECT_EQ(exec.error().code, Code::kFailedPrecondition);
  v1::ResumeRequest resume;
  resume.set_id("c");
  ASSERT_TRUE(Call<v1::ResumeResponse>("Resume", resume));
  ReadUntil("c", "tick\ntick\n");
  // Also one that is paused can be deleted.
  ASSERT_TRUE(Call<v1::PauseResponse>("Pause", pause));
  EXPECT_TRUE(Delete("c"));
}

TEST_F(GuestLifecycle, SharedPidNamespaces) {
  ASSERT_TRUE(Prepare());
  auto first = MakeShell("a", "readlink /proc/self/ns/pid; sleep 1000");
  first.mutable_namespaces()->set_pid(v1::Namespaces::SANDBOX);
  ASSERT_TRUE(Create(first));
  ASSERT_TRUE(Start("a"));
  const std::string space = ReadUntil("a", "\n");
  auto second = MakeShell("b", "readlink /proc/self/ns/pid; (sleep 1000 &) ; echo $$");
  second.mutable_namespaces()->set_pid(v1::Namespaces::SANDBOX);
  ASSERT_TRUE(Create(second));
  ASSERT_TRUE(Start("b"));
  // What it left running ends with it, else its stdout would have no end.
  const std::string output = ReadAll("b", 1);
  EXPECT_THAT(output, testing::StartsWith(space));
  EXPECT_NE(output, space + "1\n");
  auto target = MakeShell("d", "readlink /proc/self/ns/pid");
  target.mutable_namespaces()->set_pid(v1::Namespaces::CONTAINER);
  target.mutable_namespaces()->set_pid_container("a");
  auto outcome = Run(target);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, space);
  auto own = Run(MakeShell("e", "readlink /proc/self/ns/pid; echo $$"));
  ASSERT_TRUE(own);
  EXPECT_THAT(own->out, testing::EndsWith("\n1\n"));
  EXPECT_THAT(own->out, testing::Not(testing::StartsWith(space)));
}

TEST_F(GuestLifecycle, ShutdownEndsTheAgent) {
  ASSERT_TRUE(Prepare());
  EXPECT_TRUE(Call<v1::ShutdownResponse>("Shutdown", v1::ShutdownRequest()));
  EXPECT_EQ(WaitForAgent(), 0);
}

}  // namespace
}  // namespace farlet::guest
