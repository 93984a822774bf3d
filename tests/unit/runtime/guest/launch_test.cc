#include "runtime/guest/launch.h"

#include "runtime/guest/reaper.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <utility>
#include <vector>

namespace farlet::guest {
namespace {

using Kind = ChildReport::Kind;

// Children without namespaces, so without privileges.
class LaunchTest : public testing::Test {
 protected:
  void Launch(const std::function<void(ChildSocket&)>& child, std::vector<int> keep = {}) {
    auto launched = guest::Launch({.keep = std::move(keep)}, child);
    ASSERT_TRUE(launched) << launched.error().message;
    pid_ = launched->pid;
    link_ = std::make_shared<ChildLink>(context_, std::move(launched->socket));
  }

  Result<ChildReport> Next(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
    std::optional<Result<ChildReport>> report;
    link_->Next(timeout, [&](Result<ChildReport> next) { report = std::move(next); });
    while (!report) {
      context_.restart();
      context_.run_one();
    }
    return std::move(*report);
  }

  int WaitForChild() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

  void TearDown() override {
    link_.reset();
    if (pid_ > 0) {
      WaitForChild();
    }
  }

  boost::asio::io_context context_;
  pid_t pid_ = -1;
  std::shared_ptr<ChildLink> link_;
};

TEST_F(LaunchTest, ReadyThenGoThenEnd) {
  Launch([](ChildSocket& socket) {
    socket.SendReady();
    ::_exit(socket.WaitForGo() ? 7 : 1);
  });
  auto report = Next();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::kReady);
  link_->Go();
  report = Next();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::kEnded);
  const int status = WaitForChild();
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(LaunchTest, ExecClosesTheSocket) {
  Launch([](ChildSocket& socket) {
    socket.SendReady();
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    socket.SendError(Internal("no sleep"));
  });
  auto report = Next();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->kind, Kind::kReady);
  report = Next();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->kind, Kind::kEnded);
  ::kill(pid_, SIGKILL);
}

TEST_F(LaunchTest, ErrorsKeepCodeAndText) {
  Launch([](ChildSocket& socket) {
    socket.SendError(InvalidArgument("mount /x: " + std::string(10000, 'y')));
  });
  const auto report = Next();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kInvalidArgument);
  EXPECT_EQ(report.error().message.rfind("mount /x: yy", 0), 0u);
  EXPECT_LT(report.error().message.size(), 4096u);
}

TEST_F(LaunchTest, TerminalsArePassed) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd read(pipe[0]);
  UniqueFd write(pipe[1]);
  Launch([&](ChildSocket& socket) { socket.SendTerminal(write.get()); }, {write.get()});
  auto report = Next();
  ASSERT_TRUE(report);
  ASSERT_EQ(report->kind, Kind::kTerminal);
  ASSERT_TRUE(report->fd.valid());
  ASSERT_EQ(::write(report->fd.get(), "x", 1), 1);
  char got = 0;
  EXPECT_EQ(::read(read.get(), &got, 1), 1);
}

TEST_F(LaunchTest, OnlyWhatIsKeptStaysOpen) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const UniqueFd read(pipe[0]);
  const UniqueFd write(pipe[1]);
  Launch(
      [&](ChildSocket& /*socket*/) {
        const bool kept = ::fcntl(read.get(), F_GETFD) >= 0;
        const bool other = ::fcntl(write.get(), F_GETFD) >= 0;
        ::_exit(kept && !other ? 0 : 1);
      },
      {read.get(), -1, 1});
  EXPECT_EQ(WEXITSTATUS(WaitForChild()), 0);
}

TEST_F(LaunchTest, SilenceHasALimit) {
  Launch([](ChildSocket& socket) { ::_exit(socket.WaitForGo() ? 0 : 1); });
  const auto report = Next(std::chrono::milliseconds(1));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Code::kDeadlineExceeded);
}

TEST_F(LaunchTest, ReaperTellsTheEndOfWhatIsWatched) {
  Reaper reaper(context_);
  ASSERT_TRUE(reaper.Start());
  Launch([](ChildSocket& /*socket*/) { ::_exit(5); });
  std::optional<int> status;
  reaper.Watch(std::exchange(pid_, -1), [&](int ended) { status = ended; });
  while (!status) {
    context_.run_one();
  }
  EXPECT_EQ(WEXITSTATUS(*status), 5);
}

}  // namespace
}  // namespace farlet::guest
