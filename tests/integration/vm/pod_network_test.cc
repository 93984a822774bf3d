// Real interfaces in network namespaces of the test's own. Needs root; skipped otherwise.
#include "runtime/vm/net/pod_network.h"

#include "tests/integration/vm/test_netns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <set>
#include <string>
#include <vector>

namespace farlet::net {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uint16_t kEtherType = 0x88b5;  // for local experiments
constexpr size_t kVnetHeader = 10;
constexpr int kPatienceMs = 5000;

std::string Frame(const std::string& text) {
  std::string frame(12, '\xff');
  frame += {static_cast<char>(kEtherType >> 8), static_cast<char>(kEtherType & 0xff)};
  return frame + text;
}

// The next frame with our type, without `skip` leading bytes; "" when none comes.
std::string ReadFrame(int fd, size_t skip) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  while (::poll(&watched, 1, kPatienceMs) == 1) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    const std::string frame(buffer.data(), count > 0 ? static_cast<size_t>(count) : 0);
    if (frame.size() > skip + ETH_HLEN && frame.substr(skip, ETH_HLEN) == Frame("")) {
      return frame.substr(skip);
    }
  }
  return "";
}

class PodNetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    ASSERT_TRUE(pod_.valid());
    ASSERT_TRUE(host_.valid());
    AddPair("eth0");
    pod_.Shell(
        "ip link set lo up; ip addr add 10.99.0.5/24 dev eth0;"
        "ip -6 addr add fd00:99::5/64 dev eth0 nodad");
  }

  // An interface of the pod whose other end is of the same name on the host's side.
  void AddPair(const std::string& name) {
    pod_.Shell(fmt::format(
        "ip link add {0} address 02:42:0a:63:00:05 mtu 1442 type veth peer name {0} netns {1} &&"
        "ip link set {0} up",
        name, host_.path()));
    host_.Shell("ip link set " + name + " up");
  }

  Result<PodNetwork> AttachPod() { return Attach(pod_.path()); }

  UniqueFd PacketSocket(const std::string& interface) {
    UniqueFd socket;
    host_.In([&] {
      socket = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(kEtherType)));
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_protocol = htons(kEtherType);
      address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
      EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
                0);
    });
    return socket;
  }

  // Frames pass between the far end of `name` and the tap, both ways.
  void ExpectConnected(const std::string& name, const PodInterface& interface) {
    const UniqueFd wire = PacketSocket(name);
    const std::string in = Frame("to the guest by " + name);
    ASSERT_EQ(::write(wire.get(), in.data(), in.size()), static_cast<ssize_t>(in.size()));
    EXPECT_EQ(ReadFrame(interface.tap.get(), kVnetHeader), in);
    const std::string out = Frame("from the guest by " + name);
    const std::string packet = std::string(kVnetHeader, '\0') + out;
    ASSERT_EQ(::write(interface.tap.get(), packet.data(), packet.size()),
              static_cast<ssize_t>(packet.size()));
    EXPECT_EQ(ReadFrame(wire.get(), 0), out);
  }

  std::string TrafficControl() {
    return pod_.Shell("tc qdisc show; ip -o link") +
           pod_.Shell("tc filter show dev eth0 parent ffff: || true");
  }

  TestNetns pod_;
  TestNetns host_;
};

TEST_F(PodNetworkTest, ReadsInterfacesAndConnectsThemToATap) {
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  ASSERT_EQ(network->interfaces.size(), 1U);
  const PodInterface& eth0 = network->interfaces[0];
  EXPECT_EQ(eth0.name, "eth0");
  EXPECT_EQ(eth0.mac, "02:42:0a:63:00:05");
  EXPECT_EQ(eth0.mtu, 1442U);
  EXPECT_THAT(eth0.addresses, ElementsAre("10.99.0.5/24", "fd00:99::5/64"));
  EXPECT_THAT(pod_.Shell("ip link show " + eth0.tap_name), HasSubstr("mtu 1442"));
  EXPECT_THAT(pod_.Shell("ip -6 addr show dev " + eth0.tap_name), IsEmpty());
  ExpectConnected("eth0", eth0);
}

TEST_F(PodNetworkTest, ASpareTapBecomesThePods) {
  Result<SpareTap> spare = MakeSpareTap();
  ASSERT_TRUE(spare) << spare.error().message;
  Result<PodNetwork> network = Attach(pod_.path(), &*spare);
  ASSERT_TRUE(network) << network.error().message;
  ASSERT_EQ(network->interfaces.size(), 1U);
  PodInterface& eth0 = network->interfaces[0];
  EXPECT_FALSE(eth0.tap.valid());
  EXPECT_THAT(pod_.Shell("ip link show " + eth0.tap_name), HasSubstr("mtu 1442"));
  EXPECT_THAT(pod_.Shell("ip -6 addr show dev " + eth0.tap_name), IsEmpty());
  eth0.tap = std::move(spare->tap);
  ExpectConnected("eth0", eth0);
  ASSERT_TRUE(Detach(pod_.path()));
  EXPECT_THAT(pod_.Shell("ip -o link"), Not(HasSubstr("tap")));
}

TEST_F(PodNetworkTest, ReadsRoutesInAnOrderThatWorks) {
  pod_.Shell(
      "ip route add 169.254.1.1 dev eth0 scope link;"
      "ip route add default via 169.254.1.1 dev eth0 src 10.99.0.5;"
      "ip route add 10.1.0.0/16 via 169.254.7.7 dev eth0 onlink mtu 1300;"
      "ip route add 10.2.0.0/16 via 10.99.0.1 metric 7;"
      "ip -6 route add default via fd00:99::1 dev eth0;"
      "ip route add 10.3.0.0/16 nexthop via 10.99.0.1 nexthop via 10.99.0.2;"
      "ip route add blackhole 10.4.0.0/16;"
      "ip route add 10.5.0.0/16 via 10.99.0.1 table 77");
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  std::vector<std::string> routes;
  for (const PodRoute& route : network->routes) {
    EXPECT_EQ(route.device, "eth0");
    routes.push_back(fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", route.destination, route.gateway,
                                 route.source, route.scope, route.onlink, route.metric, route.mtu,
                                 route.ipv6));
  }
  EXPECT_THAT(routes, ElementsAre("10.1.0.0/16|169.254.7.7||0|true|0|1300|false",
                                  "169.254.1.1/32|||253|false|0|0|false",
                                  "10.2.0.0/16|10.99.0.1||0|false|7|0|false",
                                  "10.3.0.0/16|10.99.0.1||0|false|0|0|false",
                                  "|169.254.1.1|10.99.0.5|0|false|0|0|false",
                                  "|fd00:99::1||0|false|1024|0|true"));
}

TEST_F(PodNetworkTest, ReadsStaticNeighbors) {
  pod_.Shell(
      "ip neigh add 169.254.1.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent;"
      "ip neigh add fd00:99::1 lladdr 02:00:00:00:00:02 dev eth0 nud permanent;"
      "ip neigh add 10.99.0.9 lladdr 02:00:00:00:00:03 dev eth0 nud reachable");
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  std::set<std::string> neighbors;
  for (const PodNeighbor& neighbor : network->neighbors) {
    neighbors.insert(neighbor.address + " " + neighbor.mac + " " + neighbor.device);
  }
  EXPECT_THAT(neighbors, ElementsAre("169.254.1.1 02:00:00:00:00:01 eth0",
                                     "fd00:99::1 02:00:00:00:00:02 eth0"));
}

TEST_F(PodNetworkTest, ConnectsEachOfSeveralInterfaces) {
  AddPair("net1");
  pod_.Shell("ip addr add 10.98.0.5/24 dev net1; ip link add down0 type veth peer name down1");
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  ASSERT_EQ(network->interfaces.size(), 2U);
  EXPECT_EQ(network->interfaces[0].name, "eth0");
  EXPECT_EQ(network->interfaces[1].name, "net1");
  EXPECT_NE(network->interfaces[0].tap_name, network->interfaces[1].tap_name);
  ExpectConnected("eth0", network->interfaces[0]);
  ExpectConnected("net1", network->interfaces[1]);
}

TEST_F(PodNetworkTest, DetachLeavesNothingAndMayBeRepeated) {
  const std::string before = TrafficControl();
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  EXPECT_NE(TrafficControl(), before);
  for (int i = 0; i < 2; ++i) {
    const Status detached = Detach(pod_.path());
    EXPECT_TRUE(detached) << detached.error().message;
    EXPECT_EQ(TrafficControl(), before);
  }
}

TEST_F(PodNetworkTest, AttachReplacesWhatAnEarlierOneLeft) {
  const Result<PodNetwork> first = AttachPod();
  ASSERT_TRUE(first) << first.error().message;
  {
    const Result<PodNetwork> gone = AttachPod();  // its tap goes with it, its redirects stay
    ASSERT_TRUE(gone) << gone.error().message;
  }
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  ExpectConnected("eth0", network->interfaces.at(0));
}

TEST_F(PodNetworkTest, LeavesOtherPeoplesFiltersAlone) {
  pod_.Shell(
      "tc qdisc add dev eth0 ingress;"
      "tc filter add dev eth0 parent ffff: protocol 0x1234 prio 5 u32 match u32 0 0 action mirred "
      "egress redirect dev lo");
  const Result<PodNetwork> network = AttachPod();
  ASSERT_TRUE(network) << network.error().message;
  ExpectConnected("eth0", network->interfaces.at(0));
  ASSERT_TRUE(Detach(pod_.path()));
  const std::string left = pod_.Shell("tc filter show dev eth0 parent ffff:");
  EXPECT_THAT(left, HasSubstr("pref 5"));
  EXPECT_THAT(left, Not(HasSubstr("protocol all")));
}

TEST_F(PodNetworkTest, ANamespaceWithoutInterfacesIsFine) {
  const TestNetns empty;
  const Result<PodNetwork> network = Attach(empty.path());
  ASSERT_TRUE(network) << network.error().message;
  EXPECT_TRUE(network->interfaces.empty());
  EXPECT_TRUE(network->routes.empty());
  EXPECT_TRUE(Detach(empty.path()));
}

TEST_F(PodNetworkTest, TellsAMissingNamespaceFromSomethingElse) {
  const std::string missing = "/run/farlet-no-such-netns";
  const Result<PodNetwork> none = Attach(missing);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_THAT(none.error().message, HasSubstr(missing));
  EXPECT_TRUE(Detach(missing));
  const Result<PodNetwork> other = Attach("/proc/self/status");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(Detach("/proc/self/status"));
}

TEST_F(PodNetworkTest, ErrorsNameTheInterfaceAndTheStep) {
  // Takes the place of an ingress qdisc, but keeps its filters elsewhere.
  pod_.Shell("tc qdisc add dev eth0 clsact");
  const Result<PodNetwork> network = AttachPod();
  ASSERT_FALSE(network);
  EXPECT_THAT(network.error().message, HasSubstr("eth0: add redirect filter"));
  EXPECT_THAT(pod_.Shell("ip -o link"), Not(HasSubstr("ftap")));
}

}  // namespace
}  // namespace farlet::net
