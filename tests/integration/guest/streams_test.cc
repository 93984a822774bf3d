#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

#include <csignal>
#include <future>

namespace farlet::guest {
namespace {

using testing::HasSubstr;

class GuestStreams : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      ASSERT_TRUE(Prepare());
    }
  }

  Status CloseInput(const std::string& id) {
    v1::CloseInputRequest request;
    request.set_container_id(id);
    auto response = Call<v1::CloseInputResponse>("CloseInput", request);
    return response ? Status() : Status(response.error());
  }
};

TEST_F(GuestStreams, InputUntilItIsClosed) {
  auto request = MakeContainer("c", {"cat"});
  request.mutable_process()->set_stdin(true);
  ASSERT_TRUE(Create(request));
  ASSERT_TRUE(Start("c"));
  ASSERT_TRUE(Write("c", "one\n"));
  EXPECT_EQ(ReadUntil("c", "\n"), "one\n");
  ASSERT_TRUE(Write("c", "two\n"));
  ASSERT_TRUE(CloseInput("c"));
  EXPECT_EQ(ReadAll("c", 1), "two\n");
  auto exit = Wait("c");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 0u);
  const Status late = Write("c", "x");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kFailedPrecondition);
}

// Children are copies of the agent; one that waits for its start must not keep what is others'.
TEST_F(GuestStreams, ContainersThatWaitHoldNoStreamsOfOthers) {
  auto request = MakeContainer("c", {"cat"});
  request.mutable_process()->set_stdin(true);
  ASSERT_TRUE(Create(request));
  ASSERT_TRUE(Start("c"));
  auto waiting = MakeShell("d", "true");
  waiting.mutable_namespaces()->set_pid(v1::Namespaces::SANDBOX);
  ASSERT_TRUE(Create(waiting));
  ASSERT_TRUE(CloseInput("c"));
  auto exit = Wait("c");
  ASSERT_TRUE(exit) << exit.error().message;
  EXPECT_EQ(exit->exit_status(), 0u);
}

TEST_F(GuestStreams, NoInputIsTheNullDevice) {
  auto outcome = Run(MakeShell("c", "wc -c; readlink /proc/self/fd/0"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->out, "0\n/dev/null\n");
  ASSERT_TRUE(Create(MakeShell("d", "sleep 1000")));
  EXPECT_FALSE(Write("d", "x"));
}

TEST_F(GuestStreams, WritesWaitForTheReader) {
  auto request = MakeShell("c", "while [ ! -e /tmp/go ]; do sleep 0.02; done; wc -c");
  request.mutable_process()->set_stdin(true);
  ASSERT_TRUE(Create(request));
  ASSERT_TRUE(Start("c"));
  const std::string chunk(65536, 'x');
  ASSERT_TRUE(Write("c", chunk)) << "the pipe takes one";
  v1::WriteInputRequest second;
  second.set_container_id("c");
  second.set_data(chunk);
  std::promise<Result<v1::WriteInputResponse>> waiting;
  CallLater<v1::WriteInputResponse>("WriteInput", second, [&](Result<v1::WriteInputResponse> done) {
    waiting.set_value(std::move(done));
  });
  const Status third = Write("c", "y");
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kFailedPrecondition);
  ASSERT_TRUE(CloseInput("c"));
  auto outcome = RunExec("c", MakeProcess({"touch", "/tmp/go"}));
  ASSERT_TRUE(outcome) << outcome.error().message;
  auto done = waiting.get_future().get();
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->written(), 65536u);
  EXPECT_EQ(ReadAll("c", 1), "131072\n");
}

TEST_F(GuestStreams, MuchOutputIsHeldBackAndComplete) {
  ASSERT_TRUE(Create(MakeShell("c", "dd if=/dev/zero bs=4096 count=1024 2>/dev/null")));
  ASSERT_TRUE(Start("c"));
  EXPECT_EQ(ReadAll("c", 1).size(), 4096u * 1024u);
  ASSERT_TRUE(Wait("c"));
}

TEST_F(GuestStreams, SecondReaderTakesOver) {
  auto request = MakeContainer("c", {"cat"});
  request.mutable_process()->set_stdin(true);
  ASSERT_TRUE(Create(request));
  ASSERT_TRUE(Start("c"));
  v1::ReadOutputRequest read;
  read.set_container_id("c");
  read.set_stream(1);
  std::promise<Result<v1::ReadOutputResponse>> first;
  std::promise<Result<v1::ReadOutputResponse>> second;
  CallLater<v1::ReadOutputResponse>("ReadOutput", read, [&](Result<v1::ReadOutputResponse> chunk) {
    first.set_value(std::move(chunk));
  });
  CallLater<v1::ReadOutputResponse>("ReadOutput", read, [&](Result<v1::ReadOutputResponse> chunk) {
    second.set_value(std::move(chunk));
  });
  auto cancelled = first.get_future().get();
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, Code::kCancelled);
  ASSERT_TRUE(Write("c", "x"));
  auto chunk = second.get_future().get();
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->data(), "x");
  read.set_stream(3);
  EXPECT_FALSE(Call<v1::ReadOutputResponse>("ReadOutput", read));
}

TEST_F(GuestStreams, ReadersGetTheEndWhenTheContainerGoes) {
  ASSERT_TRUE(Create(MakeShell("c", "sleep 1000")));
  ASSERT_TRUE(Start("c"));
  v1::ReadOutputRequest read;
  read.set_container_id("c");
  read.set_stream(1);
  std::promise<Result<v1::ReadOutputResponse>> reading;
  CallLater<v1::ReadOutputResponse>("ReadOutput", read, [&](Result<v1::ReadOutputResponse> chunk) {
    reading.set_value(std::move(chunk));
  });
  ASSERT_TRUE(Delete("c"));
  auto chunk = reading.get_future().get();
  ASSERT_TRUE(chunk);
  EXPECT_TRUE(chunk->eof());
}

TEST_F(GuestStreams, TerminalOfTheFirstProcess) {
  auto request = MakeShell("c", "tty; stty size; read line; echo got $line; stty size; echo $TERM");
  request.mutable_process()->set_terminal(true);
  request.mutable_process()->mutable_console_size()->set_rows(24);
  request.mutable_process()->mutable_console_size()->set_columns(80);
  ASSERT_TRUE(Create(request));
  ASSERT_TRUE(Start("c"));
  EXPECT_EQ(ReadUntil("c", "24 80"), "/dev/pts/0\r\n24 80\r\n");
  v1::ResizeTerminalRequest resize;
  resize.set_container_id("c");
  resize.set_rows(50);
  resize.set_columns(132);
  ASSERT_TRUE(Call<v1::ResizeTerminalResponse>("ResizeTerminal", resize));
  ASSERT_TRUE(Write("c", "hello\n"));
  const std::string rest = ReadAll("c", 1);
  EXPECT_THAT(rest, HasSubstr("got hello\r\n50 132\r\nxterm\r\n"));
  EXPECT_EQ(ReadAll("c", 2), "");
  auto exit = Wait("c");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 0u);
}

TEST_F(GuestStreams, TerminalSignalsItsForeground) {
  ASSERT_TRUE(Create(MakeShell("c", "sleep 1000")));
  ASSERT_TRUE(Start("c"));
  auto process = MakeProcess({"sh", "-c", "echo up; sleep 1000"});
  process.set_terminal(true);
  ASSERT_TRUE(Exec("c", "e", process));
  ReadUntil("c", "up", "e");
  ASSERT_TRUE(Write("c", "\x03", "e"));
  auto exit = Wait("c", "e");
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->exit_status(), 130u);
  v1::ResizeTerminalRequest resize;
  resize.set_container_id("c");
  resize.set_rows(1);
  resize.set_columns(1);
  auto resized = Call<v1::ResizeTerminalResponse>("ResizeTerminal", resize);
  ASSERT_FALSE(resized);
  EXPECT_EQ(resized.error().code, Code::kFailedPrecondition) << "the first has no terminal";
}

}  // namespace
}  // namespace farlet::guest
