// Real connections in a network namespace of the test's own. Needs root; skipped otherwise.
#include "runtime/vm/net/loopback_forwarder.h"

#include "tests/integration/vm/test_netns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

namespace farlet::net {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

struct Arrival {
  uint16_t port = 0;
  int family = 0;
  UniqueFd connection;
};

class LoopbackForwarderTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    ASSERT_TRUE(pod_.valid());
  }

  Status StartForwarder() {
    auto forwarder =
        LoopbackForwarder::Start(pod_.path(), [this](uint16_t port, int family, UniqueFd fd) {
          const std::lock_guard lock(mutex_);
          arrivals_.push_back({port, family, std::move(fd)});
          changed_.notify_all();
        });
    if (!forwarder) {
      return forwarder.error();
    }
    forwarder_ = std::move(*forwarder);
    return {};
  }

  // 0 or the errno of connect.
  int Connect(const std::string& address, uint16_t port, UniqueFd& socket) {
    int error = 0;
    pod_.In([&] {
      sockaddr_storage storage{};
      socklen_t size = 0;
      if (auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
          ::inet_pton(AF_INET, address.c_str(), &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        size = sizeof(*ipv4);
      } else {
        auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
        ASSERT_EQ(::inet_pton(AF_INET6, address.c_str(), &ipv6->sin6_addr), 1);
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons(port);
        size = sizeof(*ipv6);
      }
      socket = UniqueFd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
        error = errno;
      }
    });
    return error;
  }

  Arrival Next() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(10), [this] { return !arrivals_.empty(); }));
    if (arrivals_.empty()) {
      return {};
    }
    Arrival arrival = std::move(arrivals_.front());
    arrivals_.pop_front();
    return arrival;
  }

  TestNetns pod_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrival> arrivals_;
  std::unique_ptr<LoopbackForwarder> forwarder_;
};

TEST_F(LoopbackForwarderTest, TakesConnectionsToAnyPortOfBothFamilies) {
  const Status started = StartForwarder();
  ASSERT_TRUE(started) << started.error().message;
  for (const auto& [address, port, family] :
       std::initializer_list<std::tuple<std::string, uint16_t, int>>{{"127.0.0.1", 8080, AF_INET},
                                                                     {"::1", 8080, AF_INET6},
                                                                     {"127.8.9.10", 1, AF_INET},
                                                                     {"::1", 65535, AF_INET6}}) {
    UniqueFd client;
    ASSERT_EQ(Connect(address, port, client), 0) << address;
    const Arrival arrival = Next();
    EXPECT_EQ(arrival.port, port);
    EXPECT_EQ(arrival.family, family);
    ASSERT_EQ(::write(client.get(), "ping", 4), 4);
    std::array<char, 16> buffer{};
    pollfd watched{.fd = arrival.connection.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&watched, 1, 5000), 1);
    EXPECT_EQ(::read(arrival.connection.get(), buffer.data(), buffer.size()), 4);
    ASSERT_EQ(::write(arrival.connection.get(), "pong!", 5), 5);
    EXPECT_EQ(::read(client.get(), buffer.data(), buffer.size()), 5);
  }
}

TEST_F(LoopbackForwarderTest, LeavesOtherAddressesAlone) {
  ASSERT_TRUE(StartForwarder());
  pod_.Shell("ip addr add 10.1.2.3/32 dev lo");
  UniqueFd client;
  EXPECT_EQ(Connect("10.1.2.3", 8080, client), ECONNREFUSED);
}

TEST_F(LoopbackForwarderTest, IsGoneWithTheObject) {
  ASSERT_TRUE(StartForwarder());
  UniqueFd client;
  ASSERT_EQ(Connect("127.0.0.1", 8080, client), 0);
  const Arrival kept = Next();
  forwarder_.reset();
  UniqueFd refused;
  EXPECT_EQ(Connect("127.0.0.1", 8080, refused), ECONNREFUSED);
  EXPECT_EQ(::write(client.get(), "x", 1), 1);  // what was handed over lives on
  char byte = 0;
  pollfd watched{.fd = kept.connection.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&watched, 1, 5000), 1);
  EXPECT_EQ(::read(kept.connection.get(), &byte, 1), 1);
  const Status again = StartForwarder();
  EXPECT_TRUE(again) << again.error().message;
  UniqueFd back;
  EXPECT_EQ(Connect("::1", 8080, back), 0);
}

TEST_F(LoopbackForwarderTest, WorksWithoutIpv6) {
  pod_.Shell(
      "ip link set lo up; sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
      "net.ipv6.conf.lo.disable_ipv6=1");
  const Status started = StartForwarder();
  ASSERT_TRUE(started) << started.error().message;
  UniqueFd client;
  EXPECT_EQ(Connect("127.0.0.1", 53, client), 0);
  EXPECT_EQ(Next().port, 53);
}

TEST_F(LoopbackForwarderTest, NamesAMissingNamespace) {
  const auto forwarder = LoopbackForwarder::Start("/run/farlet-no-such-netns", nullptr);
  ASSERT_FALSE(forwarder);
  EXPECT_EQ(forwarder.error().code, Code::kNotFound);
  EXPECT_THAT(forwarder.error().message, HasSubstr("/run/farlet-no-such-netns"));
}

}  // namespace
}  // namespace farlet::net
