#include "runtime/shim/pool/handover.h"

#include "runtime/shim/socket.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <string>

namespace farlet::shim {
namespace {

using std::filesystem::path;

// A spare's socket; Serve() answers one connection, as a spare does.
class HandoverTest : public testing::Test {
 protected:
  HandoverTest() {
    std::string folder = (std::filesystem::temp_directory_path() / "handover-XXXXXX").string();
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    listening_ = std::move(*ListenUnix(socket(), SocketKind::kMessages));
  }

  ~HandoverTest() override { std::filesystem::remove_all(folder_); }

  path socket() const { return folder_ / "512-1-7"; }

  std::future<Result<Handover>> Serve() {
    return std::async(std::launch::async, [this] { return Accept(); });
  }

  Result<Handover> Accept() {
    return TakeOver(UniqueFd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

  Offer MakeOffer() const {
    Offer offer{.environment = {"TTRPC_ADDRESS=/run/ttrpc", "EMPTY="}};
    offer.line.containerd_namespace = "k8s.io";
    offer.line.address = "/run/containerd.sock";
    offer.line.id = "abc";
    offer.line.debug = true;
    offer.listening = std::move(*ListenUnix(folder_ / "shim"));
    offer.bundle = UniqueFd(::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return offer;
  }

  path folder_;
  UniqueFd listening_;
};

ino_t InodeOf(int fd) {
  struct stat info {};

  EXPECT_EQ(::fstat(fd, &info), 0);
  return info.st_ino;
}

TEST_F(HandoverTest, BringsAllThatAShimIsStartedWith) {
  const Offer offer = MakeOffer();
  auto served = Serve();
  const Result<pid_t> pid = HandOver(socket(), offer);
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(*pid, ::getpid());
  const Result<Handover> handover = served.get();
  ASSERT_TRUE(handover) << handover.error().message;
  EXPECT_FALSE(handover->end);
  ASSERT_TRUE(handover->offer);
  EXPECT_EQ(handover->offer->line.action, Action::kServe);
  EXPECT_EQ(handover->offer->line.containerd_namespace, "k8s.io");
  EXPECT_EQ(handover->offer->line.address, "/run/containerd.sock");
  EXPECT_EQ(handover->offer->line.id, "abc");
  EXPECT_TRUE(handover->offer->line.debug);
  EXPECT_EQ(handover->offer->environment, offer.environment);
  EXPECT_EQ(InodeOf(handover->offer->listening.get()), InodeOf(offer.listening.get()));
  EXPECT_EQ(InodeOf(handover->offer->bundle.get()), InodeOf(offer.bundle.get()));
}

TEST_F(HandoverTest, IsToldToEnd) {
  auto served = Serve();
  ASSERT_TRUE(TellToEnd(socket()));
  const Result<Handover> handover = served.get();
  ASSERT_TRUE(handover) << handover.error().message;
  EXPECT_TRUE(handover->end);
  EXPECT_FALSE(handover->offer);
}

TEST_F(HandoverTest, AskingWhetherItIsThereChangesNothing) {
  auto served = Serve();
  ASSERT_TRUE(ConnectUnix(socket(), SocketKind::kMessages));
  const Result<Handover> handover = served.get();
  ASSERT_TRUE(handover) << handover.error().message;
  EXPECT_FALSE(handover->end);
  EXPECT_FALSE(handover->offer);
}

TEST_F(HandoverTest, WhoeverClosesBeforeGoGetsNothing) {
  auto served = Serve();
  {
    const auto connection = ConnectUnix(socket(), SocketKind::kMessages);
    ASSERT_TRUE(connection);
    const std::string nonsense = "[";
    ASSERT_EQ(::send(connection->get(), nonsense.data(), nonsense.size(), 0), 1);
    char byte = 0;
    EXPECT_EQ(::recv(connection->get(), &byte, 1, 0), 0) << "closed";
  }
  EXPECT_EQ(served.get().error().code, Code::kInvalidArgument);
  const Offer offer = MakeOffer();
  listening_.Close();
  EXPECT_FALSE(HandOver(socket(), offer)) << "nobody listens";
}

TEST_F(HandoverTest, ASpareThatDoesNotAnswerKeepsNobodyWaiting) {
  const Offer offer = MakeOffer();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(HandOver(socket(), offer)) << "nobody accepts";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  // The spare looks at it later: it was left, and so it stays a spare.
  const Result<Handover> handover = Accept();
  EXPECT_FALSE(handover && handover->offer);
}

}  // namespace
}  // namespace farlet::shim
