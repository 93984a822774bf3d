// What belongs to the pod: network, limits, statistics, and what a hostile peer sends.
#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

#include <csignal>
#include <fstream>

namespace farlet::guest {
namespace {

using testing::HasSubstr;

class GuestPod : public GuestTest {};

TEST_F(GuestPod, NetworkOfThePod) {
  v1::PrepareRequest request;
  auto* interface = request.add_interfaces();
  interface->set_name("lo");
  interface->add_addresses("10.9.8.7/24");
  interface->add_addresses("fd00:1::7/64");
  auto* link = request.add_routes();
  link->set_destination("169.254.1.1");
  link->set_device("lo");
  auto* all = request.add_routes();
  all->set_gateway("10.1.1.1");
  all->set_device("lo");
  all->set_onlink(true);
  auto* six = request.add_routes();
  six->set_destination("fd00:2::/64");
  six->set_device("lo");
  (*request.mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "5";
  const Status prepared = Prepare(request);
  ASSERT_TRUE(prepared) << prepared.error().message;
  auto outcome = Run(MakeShell(
      "c", "ip addr; ip route; ip -6 route; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->out, HasSubstr("inet 10.9.8.7/24 brd 10.9.8.255"));
  EXPECT_THAT(outcome->out, HasSubstr("inet6 fd00:1::7/64"));
  EXPECT_THAT(outcome->out, testing::Not(HasSubstr("tentative")));
  EXPECT_THAT(outcome->out, HasSubstr("169.254.1.1 dev lo scope link"));
  EXPECT_THAT(outcome->out, HasSubstr("default via 10.1.1.1 dev lo"));
  EXPECT_THAT(outcome->out, HasSubstr("fd00:2::/64 dev lo"));
  EXPECT_THAT(outcome->out, testing::EndsWith("\n5\n"));
}

TEST_F(GuestPod, PrepareNamesWhatIsWrong) {
  v1::PrepareRequest request;
  request.add_interfaces()->set_name("eth7");
  Status prepared = Prepare(request);
  ASSERT_FALSE(prepared);
  EXPECT_THAT(prepared.error().message, HasSubstr("eth7"));
  request.Clear();
  request.add_routes()->set_gateway("not-an-address");
  prepared = Prepare(request);
  ASSERT_FALSE(prepared);
  EXPECT_THAT(prepared.error().message, HasSubstr("not-an-address"));
  request.Clear();
  request.set_writable_device("../../etc");
  prepared = Prepare(request);
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Code::kInvalidArgument);
}

TEST_F(GuestPod, FurnishComesBeforePrepare) {
  v1::FurnishRequest furnish;
  furnish.set_writable_device("../../etc");
  EXPECT_EQ(Call<v1::FurnishResponse>("Furnish", furnish).error().code, Code::kInvalidArgument);
  furnish.clear_writable_device();
  for (int i = 0; i < 2; ++i) {
    const auto furnished = Call<v1::FurnishResponse>("Furnish", furnish);
    ASSERT_TRUE(furnished) << furnished.error().message;
  }
  v1::PrepareRequest request;
  request.set_shm_bytes(8u << 20);
  ASSERT_TRUE(Prepare(request));
  EXPECT_EQ(Call<v1::FurnishResponse>("Furnish", furnish).error().code, Code::kFailedPrecondition);
  v1::CreateContainerRequest container = MakeShell("c", "ip addr show lo; df -k /dev/shm");
  auto* shm = container.add_mounts();
  shm->set_destination("/dev/shm");
  shm->set_shm(true);
  const auto outcome = Run(container);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->out, HasSubstr("LOOPBACK,UP"));
  EXPECT_THAT(outcome->out, HasSubstr(" 8192 "));
}

TEST_F(GuestPod, RehearsalLeavesNothing) {
  EXPECT_EQ(Call<v1::EndRehearsalResponse>("EndRehearsal", v1::EndRehearsalRequest()).error().code,
            Code::kFailedPrecondition);
  v1::PrepareRequest rehearsal;
  rehearsal.set_rehearsal(true);
  auto* interface = rehearsal.add_interfaces();
  interface->set_name("lo");
  interface->add_addresses("192.0.2.2/24");
  interface->add_addresses("2001:db8::2/64");
  rehearsal.add_routes()->set_gateway("192.0.2.1");
  const auto rehearsed = Call<v1::PrepareResponse>("Prepare", rehearsal);
  ASSERT_TRUE(rehearsed) << rehearsed.error().message;
  v1::SyncVolumeRequest volume;
  volume.set_name("token");
  volume.set_first(true);
  volume.set_last(true);
  volume.set_generation(1);
  ASSERT_TRUE(Call<v1::SyncVolumeResponse>("SyncVolume", volume));
  v1::CreateContainerRequest container = MakeShell("c", "echo once; touch /left");
  auto* mount = container.add_mounts();
  mount->set_destination("/token");
  mount->set_volume("token");
  ASSERT_TRUE(Create(container));
  ASSERT_TRUE(Start("c"));
  EXPECT_EQ(Call<v1::EndRehearsalResponse>("EndRehearsal", v1::EndRehearsalRequest()).error().code,
            Code::kFailedPrecondition)
      << "the container is there";
  v1::DeleteContainerRequest remove;
  remove.set_id("c");
  ASSERT_TRUE(Call<v1::DeleteContainerResponse>("DeleteContainer", remove));
  const auto ended = Call<v1::EndRehearsalResponse>("EndRehearsal", v1::EndRehearsalRequest());
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_FALSE(Create(container)) << "not prepared";

  v1::PrepareRequest request;
  interface = request.add_interfaces();
  interface->set_name("lo");
  interface->add_addresses("10.9.8.7/24");
  const Status prepared = Prepare(request);
  ASSERT_TRUE(prepared) << prepared.error().message;
  EXPECT_EQ(Create(container).error().code, Code::kFailedPrecondition) << "the volume is gone";
  const auto outcome = Run(MakeShell("c", "ls /left; ip addr; ip route; ip -6 route"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->err, HasSubstr("No such file"));
  EXPECT_THAT(outcome->out, HasSubstr("inet 10.9.8.7/24"));
  EXPECT_THAT(outcome->out, testing::Not(HasSubstr("192.0.2.")));
  EXPECT_THAT(outcome->out, testing::Not(HasSubstr("2001:db8:")));
}

TEST_F(GuestPod, ConnectionsToLoopback) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "echo up; nc -l -p 8080 -e cat")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  v1::OpenTcpRequest open;
  open.set_port(8080);
  auto opened = Call<v1::OpenTcpResponse>("OpenTcp", open);
  for (int tries = 0; !opened && tries < 500; ++tries) {
    // nc listens a moment after it said so.
    EXPECT_EQ(opened.error().code, Code::kUnavailable);
    opened = Call<v1::OpenTcpResponse>("OpenTcp", open);
  }
  ASSERT_TRUE(opened) << opened.error().message;
  v1::WriteTcpRequest write;
  write.set_connection_id(opened->connection_id());
  write.set_data("ping");
  auto written = Call<v1::WriteTcpResponse>("WriteTcp", write);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->written(), 4u);
  v1::ReadTcpRequest read;
  read.set_connection_id(opened->connection_id());
  auto chunk = Call<v1::ReadTcpResponse>("ReadTcp", read);
  ASSERT_TRUE(chunk);
  EXPECT_EQ(chunk->data(), "ping");
  v1::CloseTcpRequest close;
  close.set_connection_id(opened->connection_id());
  close.set_half(true);
  ASSERT_TRUE(Call<v1::CloseTcpResponse>("CloseTcp", close));
  chunk = Call<v1::ReadTcpResponse>("ReadTcp", read);
  ASSERT_TRUE(chunk);
  EXPECT_TRUE(chunk->eof());
  close.set_half(false);
  ASSERT_TRUE(Call<v1::CloseTcpResponse>("CloseTcp", close));
  ASSERT_TRUE(Call<v1::CloseTcpResponse>("CloseTcp", close)) << "once more";
  auto gone = Call<v1::ReadTcpResponse>("ReadTcp", read);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  for (const uint32_t port : {0u, 65536u}) {
    open.set_port(port);
    EXPECT_FALSE(Call<v1::OpenTcpResponse>("OpenTcp", open));
  }
}

TEST_F(GuestPod, Statistics) {
  ASSERT_TRUE(Prepare());
  ASSERT_TRUE(Create(MakeShell("c", "echo up; sleep 1000")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up");
  v1::StatsRequest request;
  request.set_id("c");
  auto stats = Call<v1::StatsResponse>("Stats", request);
  ASSERT_TRUE(stats);
  // cgroup v2 counts time without any controller; the rest is there in a VM.
  EXPECT_GT(stats->cpu().usage_us(), 0u);
  EXPECT_GE(stats->cpu().usage_us(), stats->cpu().user_us());
  EXPECT_GT(stats->taken_at_ns(), 0);
  auto pod = Call<v1::PodStatsResponse>("PodStats", v1::PodStatsRequest());
  ASSERT_TRUE(pod);
  EXPECT_GT(pod->guest_memory_total(), 0u);
  EXPECT_GT(pod->disk().capacity_bytes(), 0u);
  EXPECT_GE(pod->cpu().usage_us(), stats->cpu().usage_us());
}

TEST_F(GuestPod, HostileRequests) {
  ASSERT_TRUE(Prepare());
  const auto refused = [&](const v1::CreateContainerRequest& request, Code code) {
    auto created = Create(request);
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code, code) << created.error().message;
  };
  for (const std::string& id : {std::string(), std::string("../x"), std::string("a/b"),
                                std::string(129, 'a'), std::string("a\0b", 3), std::string(".x")}) {
    refused(MakeShell(id, "true"), Code::kInvalidArgument);
  }
  auto request = MakeContainer("c", {});
  refused(request, Code::kInvalidArgument);
  request = MakeContainer("c", {std::string("a\0b", 3)});
  refused(request, Code::kInvalidArgument);
  request = MakeContainer("c", {std::string(200000, 'a')});
  refused(request, Code::kResourceExhausted);
  request = MakeShell("c", "true");
  request.mutable_rootfs()->mutable_layers(0)->set_share_path("../../etc");
  refused(request, Code::kInvalidArgument);
  request.mutable_rootfs()->mutable_layers(0)->set_image_device("../etc/passwd");
  refused(request, Code::kInvalidArgument);
  request.mutable_rootfs()->clear_layers();
  refused(request, Code::kInvalidArgument);
  request = MakeShell("c", "true");
  for (int count = 0; count < 2000; ++count) {
    request.add_masked_paths("/x");
  }
  refused(request, Code::kResourceExhausted);
  request = MakeShell("c", "true");
  (*request.mutable_resources()->mutable_unified())["../cgroup.procs"] = "1";
  refused(request, Code::kInvalidArgument);
  (*request.mutable_resources()->mutable_unified()).clear();
  (*request.mutable_resources()->mutable_unified())["cgroup.procs"] = "1";
  refused(request, Code::kInvalidArgument);
  auto unknown = Call<v1::HelloResponse>("NoSuchMethod", v1::HelloRequest());
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kUnimplemented);
  auto outcome = Run(MakeShell("c", "echo fine"));
  ASSERT_TRUE(outcome) << outcome.error().message;
}

// The promise of the agent's size, measured with 10 containers that run.
TEST_F(GuestPod, ResidentMemory) {
  ASSERT_TRUE(Prepare());
  for (int count = 0; count < 10; ++count) {
    const std::string id = "c" + std::to_string(count);
    ASSERT_TRUE(Create(MakeShell(id, "echo up; sleep 1000")));
    ASSERT_TRUE(Start(id));
    ReadUntil(id, "up");
  }
  std::ifstream children("/proc/" + std::to_string(agent_pid()) + "/task/" +
                         std::to_string(agent_pid()) + "/children");
  pid_t agent = 0;
  children >> agent;
  ASSERT_GT(agent, 0);
  std::ifstream status("/proc/" + std::to_string(agent) + "/status");
  size_t kib = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) {
      kib = std::stoul(line.substr(6));
    }
  }
  RecordProperty("rss_kib", static_cast<int>(kib));
  EXPECT_GT(kib, 0u);
  EXPECT_LE(kib, 4096u);
}

}  // namespace
}  // namespace farlet::guest
