#include "runtime/guest/cgroup.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/cgroup_stats.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace farlet::guest {
namespace {

// Plain files in the place of the kernel's.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "cgroup-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  Cgroup Strict() const { return {folder_.string(), true}; }

  Cgroup Lenient() const { return {folder_.string(), false}; }

  std::filesystem::path folder_;
};

TEST_F(CgroupTest, ValuesAreWrittenAsTheKernelWantsThem) {
  for (const char* name : {"cpu.max", "cpu.weight", "memory.max", "memory.swap.max", "pids.max"}) {
    Write(name, "");
  }
  v1::Resources resources;
  resources.set_cpu_quota_us(50000);
  resources.set_cpu_period_us(100000);
  resources.set_cpu_weight(79);
  resources.set_memory_max(-1);
  resources.set_memory_swap_max(0);
  resources.set_pids_max(10);
  const Status applied = Strict().Apply(resources);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(Read("cpu.max"), "50000 100000");
  EXPECT_EQ(Read("cpu.weight"), "79");
  EXPECT_EQ(Read("memory.max"), "max");
  EXPECT_EQ(Read("memory.swap.max"), "0");
  EXPECT_EQ(Read("pids.max"), "10");
}

TEST_F(CgroupTest, APeriodAloneKeepsTheQuota) {
  Write("cpu.max", "70000 100000\n");
  v1::Resources resources;
  resources.set_cpu_period_us(200000);
  ASSERT_TRUE(Strict().Apply(resources));
  EXPECT_EQ(Read("cpu.max").substr(0, 12), "70000 200000");
}

TEST_F(CgroupTest, MissingControllers) {
  v1::Resources resources;
  resources.set_pids_max(10);
  const Status strict = Strict().Apply(resources);
  ASSERT_FALSE(strict);
  EXPECT_EQ(strict.error().code, Code::kUnimplemented);
  EXPECT_TRUE(Lenient().Apply(resources));
}

TEST_F(CgroupTest, OnlyResourcesAreUnified) {
  for (const char* name : {"cgroup.procs", "../x", "a/b"}) {
    v1::Resources resources;
    (*resources.mutable_unified())[name] = "1";
    const Status applied = Lenient().Apply(resources);
    ASSERT_FALSE(applied) << name;
    EXPECT_EQ(applied.error().code, Code::kInvalidArgument);
  }
  Write("memory.oom.group", "");
  v1::Resources resources;
  (*resources.mutable_unified())["memory.oom.group"] = "1";
  ASSERT_TRUE(Strict().Apply(resources));
  EXPECT_EQ(Read("memory.oom.group"), "1");
}

TEST_F(CgroupTest, StateAndProcesses) {
  Write("cgroup.events", "populated 1\nfrozen 0\n");
  Write("cgroup.procs", "12\n0\n34\n");
  std::filesystem::create_directory(folder_ / "part");
  Write("part/cgroup.procs", "56\n");
  EXPECT_TRUE(Strict().Populated());
  EXPECT_FALSE(Strict().Frozen());
  EXPECT_EQ(Strict().Processes(10), (std::vector<pid_t>{56, 12, 34}));
  EXPECT_EQ(Strict().Processes(2).size(), 2u);
}

TEST_F(CgroupTest, Statistics) {
  Write("cpu.stat", "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_throttled 2\n");
  Write("memory.current", "4096\n");
  Write("memory.max", "max\n");
  Write("memory.stat", "anon 100\nfile 200\ninactive_file 50\npgfault 7\nanon_thp 9\n");
  Write("memory.events", "low 0\noom_kill 3\n");
  Write("pids.current", "5\n");
  v1::StatsResponse stats;
  FillCpu(Strict(), stats.mutable_cpu());
  FillMemory(Strict(), stats.mutable_memory());
  FillPids(Strict(), stats.mutable_pids());
  EXPECT_EQ(stats.cpu().usage_us(), 10u);
  EXPECT_EQ(stats.cpu().user_us(), 6u);
  EXPECT_EQ(stats.cpu().system_us(), 4u);
  EXPECT_EQ(stats.cpu().throttled_periods(), 2u);
  EXPECT_EQ(stats.memory().current(), 4096u);
  EXPECT_EQ(stats.memory().limit(), UINT64_MAX);
  EXPECT_EQ(stats.memory().anon(), 100u);
  EXPECT_EQ(stats.memory().inactive_file(), 50u);
  EXPECT_EQ(stats.memory().page_faults(), 7u);
  EXPECT_EQ(stats.memory().oom_kills(), 3u);
  EXPECT_EQ(stats.pids().current(), 5u);
  EXPECT_EQ(stats.pids().limit(), UINT64_MAX);
}

TEST(CgroupParse, IoStat) {
  v1::StatsResponse stats;
  ParseIo("254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n254:16 \n7:1 rbytes=9\n",
          stats.mutable_io());
  ASSERT_EQ(stats.io_size(), 2);
  EXPECT_EQ(stats.io(0).major(), 254u);
  EXPECT_EQ(stats.io(0).minor(), 0u);
  EXPECT_EQ(stats.io(0).read_bytes(), 1u);
  EXPECT_EQ(stats.io(0).write_bytes(), 2u);
  EXPECT_EQ(stats.io(0).read_operations(), 3u);
  EXPECT_EQ(stats.io(0).write_operations(), 4u);
  EXPECT_EQ(stats.io(1).major(), 7u);
  EXPECT_EQ(stats.io(1).read_bytes(), 9u);
}

TEST(CgroupParse, ValuesByWholeKey) {
  EXPECT_EQ(FindValue("ab 1\na 2\n", "a"), 2u);
  EXPECT_EQ(FindValue("a max", "a"), UINT64_MAX);
  EXPECT_FALSE(FindValue("a x\n", "a"));
  EXPECT_FALSE(FindValue("", "a"));
}

}  // namespace
}  // namespace farlet::guest
