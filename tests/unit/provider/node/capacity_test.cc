#include "provider/node/capacity.h"

#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

namespace farlet::node {
namespace {

using kube::Quantity;

class CapacityTest : public ::testing::Test {
 protected:
  CapacityTest() {
    dir_.Write("proc/meminfo",
               "MemTotal:       24683656 kB\nMemFree: 1 kB\nMemAvailable:   20000000 kB\n");
    dir_.Write("proc/sys/kernel/random/boot_id", "boot-1\n");
    dir_.Write("proc/loadavg", "0.20 0.18 0.12 1/800 11206\n");
    dir_.Write("proc/sys/kernel/pid_max", "32768\n");
    dir_.Write("etc/machine-id", "machine-1\n");
    dir_.Write("etc/os-release",
               "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n");
    dir_.Write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "8\n");
    dir_.Write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
    paths_ = {.proc = dir_.path() / "proc",
              .sys = dir_.path() / "sys",
              .etc = dir_.path() / "etc",
              .root_dir = dir_.path()};
  }

  TempFolder dir_;
  HostPaths paths_;
};

TEST_F(CapacityTest, ReadsTheHost) {
  const Result<HostFacts> host = ReadHostFacts(paths_);
  ASSERT_TRUE(host);
  EXPECT_GE(host->cpus, 1);
  EXPECT_EQ(host->memory_bytes, int64_t{24683656} * 1024);
  EXPECT_GT(host->storage_bytes, 0);
  EXPECT_EQ(host->hugepages,
            (std::map<std::string, int64_t>{{"2Mi", int64_t{16} << 20}, {"1Gi", 0}}));
  EXPECT_EQ(host->machine_id, "machine-1");
  EXPECT_EQ(host->system_uuid, "machine-1");
  EXPECT_EQ(host->boot_id, "boot-1");
  EXPECT_EQ(host->os_image, "Debian GNU/Linux 12");
  EXPECT_FALSE(host->kernel_version.empty());
}

TEST_F(CapacityTest, SaysWhichFileIsMissing) {
  paths_.proc = dir_.path() / "nowhere";
  const Result<HostFacts> host = ReadHostFacts(paths_);
  ASSERT_FALSE(host);
  EXPECT_NE(host.error().message.find("nowhere/meminfo"), std::string::npos);
}

TEST_F(CapacityTest, SaysWhatIsMalformed) {
  dir_.Write("proc/meminfo", "MemTotal: lots\n");
  EXPECT_NE(ReadHostFacts(paths_).error().message.find("no \"MemTotal:\""), std::string::npos);
}

TEST_F(CapacityTest, SeesPressure) {
  EXPECT_FALSE(ReadPressure(paths_).memory);
  EXPECT_FALSE(ReadPressure(paths_).pid);
  dir_.Write("proc/meminfo", "MemAvailable:   102399 kB\n");
  dir_.Write("proc/loadavg", "0.20 0.18 0.12 1/29492 11206\n");
  EXPECT_TRUE(ReadPressure(paths_).memory);
  EXPECT_TRUE(ReadPressure(paths_).pid);
  dir_.Write("proc/meminfo", "MemAvailable:   102400 kB\n");
  EXPECT_FALSE(ReadPressure(paths_).memory);
  paths_.proc = dir_.path() / "nowhere";
  EXPECT_FALSE(ReadPressure(paths_).memory);
}

TEST(ComputeCapacityTest, KeepsWhatEvictionAndHugePagesNeed) {
  const Capacity capacity = ComputeCapacity({.max_pods = 110}, {.cpus = 2,
                                                                .memory_bytes = int64_t{4} << 30,
                                                                .storage_bytes = 100'000,
                                                                .hugepages = {{"2Mi", 16 << 20}}});
  const auto shown = [](const ResourceList& list) {
    std::string text;
    for (const auto& [name, amount] : list) {
      text += name + "=" + FormatResource(name, amount) + " ";
    }
    return text;
  };
  EXPECT_EQ(shown(capacity.capacity),
            "cpu=2 ephemeral-storage=100000 hugepages-2Mi=16384Ki memory=4194304Ki pods=110 ");
  EXPECT_EQ(shown(capacity.allocatable),
            "cpu=2 ephemeral-storage=90000 hugepages-2Mi=16384Ki memory=4075520Ki pods=110 ");
}

TEST(ComputeCapacityTest, OtherUnitsFollowCpuAndMemory) {
  const Capacity capacity = ComputeCapacity({.capacity = {{"cpu", Quantity::FromMilli(1500)}},
                                             .milli_cpu_resource = "x/millicpu",
                                             .mebibyte_resource = "x/mebibytes"},
                                            {.cpus = 2, .memory_bytes = int64_t{1024} << 20});
  EXPECT_EQ(capacity.capacity.at("x/millicpu").value(), 1500);
  EXPECT_EQ(capacity.allocatable.at("x/millicpu").value(), 1500);
  EXPECT_EQ(capacity.capacity.at("x/mebibytes").value(), 1024);
  EXPECT_EQ(capacity.allocatable.at("x/mebibytes").value(), 924);
}

TEST(ComputeCapacityTest, IsNeverNegative) {
  const Capacity capacity = ComputeCapacity({}, {.cpus = 1, .memory_bytes = 1024});
  EXPECT_EQ(capacity.allocatable.at("memory").value(), 0);
}

TEST(ComputeCapacityTest, ConfiguredResourcesAreAllocatable) {
  const Capacity capacity =
      ComputeCapacity({.capacity = {{"cpu", Quantity::FromMilli(1500)},
                                    {"memory", Quantity::FromMilli((int64_t{8} << 30) * 1000)},
                                    {"example.com/gpu", Quantity::FromMilli(3000)}}},
                      {.cpus = 2, .memory_bytes = int64_t{4} << 30});
  for (const ResourceList* list : {&capacity.capacity, &capacity.allocatable}) {
    EXPECT_EQ(FormatResource("cpu", list->at("cpu")), "1500m");
    EXPECT_EQ(FormatResource("memory", list->at("memory")), "8388608Ki");
    EXPECT_EQ(FormatResource("example.com/gpu", list->at("example.com/gpu")), "3");
  }
}

}  // namespace
}  // namespace farlet::node
