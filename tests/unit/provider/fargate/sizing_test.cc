#include "provider/fargate/sizing.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <random>
#include <string>
#include <vector>

namespace farlet::fargate {
namespace {

using nlohmann::json;

// AWS's table, written out: vCPU in thousandths and its memory in MiB.
const std::vector<std::pair<int64_t, std::vector<int64_t>>> kTable{
    {250, {512, 1024, 2048}},
    {500, {1024, 2048, 3072, 4096}},
    {1000, {2048, 3072, 4096, 5120, 6144, 7168, 8192}},
    {2000, {4096, 5120, 6144, 7168, 8192, 9216, 10240, 11264, 12288, 13312, 14336, 15360, 16384}},
    {4000, {8192,  9216,  10240, 11264, 12288, 13312, 14336, 15360, 16384, 17408, 18432, 19456,
            20480, 21504, 22528, 23552, 24576, 25600, 26624, 27648, 28672, 29696, 30720}},
    {8000, {16384, 20480, 24576, 28672, 32768, 36864, 40960, 45056, 49152, 53248, 57344, 61440}},
    {16000,
     {32768, 40960, 49152, 57344, 65536, 73728, 81920, 90112, 98304, 106496, 114688, 122880}},
};

PodFacts Pod(const json& spec) {
  const auto pod = PodFacts::FromJson({{"metadata", {{"name", "p"}}}, {"spec", spec}}, "default");
  EXPECT_TRUE(pod) << pod.error().message;
  return *pod;
}

json Container(const json& requests, const json& limits = nullptr) {
  return {{"name", "c"}, {"resources", {{"requests", requests}, {"limits", limits}}}};
}

std::string Capacity(const json& spec) {
  const auto size = SizePod(Pod(spec));
  return size ? CapacityText(size->provisioned) : size.error().message;
}

std::string CapacityOf(const json& requests) {
  return Capacity({{"containers", json::array({Container(requests)})}});
}

TEST(ConfigurationsTest, AreAws74) {
  std::vector<Configuration> expected;
  for (const auto& [cpu, memories] : kTable) {
    for (const int64_t memory : memories) {
      expected.push_back({.cpu = {cpu}, .memory = {memory * kMi}});
    }
  }
  ASSERT_EQ(expected.size(), 74u);
  const auto all = Configurations();
  EXPECT_EQ(std::vector(all.begin(), all.end()), expected);
}

// Each of them is what a pod gets that needs exactly it, and one byte or a thousandth more gets
// another one.
TEST(ConfigurationsTest, EachIsChosenForExactlyItself) {
  for (const auto& [cpu, memories] : kTable) {
    for (const int64_t mi : memories) {
      const Configuration self{.cpu = {cpu}, .memory = {mi * kMi}};
      EXPECT_EQ(SmallestWith(self.cpu, self.memory), self);
      const json requests{{"cpu", std::to_string(cpu) + "m"},
                          {"memory", std::to_string(mi - 256) + "Mi"}};
      EXPECT_EQ(CapacityOf(requests), CapacityText(self));
      EXPECT_NE(SmallestWith({cpu + 1}, self.memory), self);
      EXPECT_NE(SmallestWith(self.cpu, {mi * kMi + 1}), self);
    }
  }
}

TEST(ConfigurationsTest, TextIsRead) {
  for (const Configuration& configuration : Configurations()) {
    const auto parsed = ParseCapacity(CapacityText(configuration));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(*parsed, configuration);
  }
  EXPECT_EQ(CapacityText(Configurations().front()), "0.25vCPU 0.5GB");
  EXPECT_EQ(CapacityText(Configurations().back()), "16vCPU 120GB");
  for (const char* text : {"", "0.25vCPU", "3vCPU 8GB", "0.25vCPU 0.5GB ", "1vCPU 9GB"}) {
    EXPECT_FALSE(ParseCapacity(text)) << text;
  }
}

// The test vectors of the reference, section 3.3.
TEST(SizePodTest, FollowsAws) {
  EXPECT_EQ(CapacityOf(nullptr), "0.25vCPU 0.5GB");
  EXPECT_EQ(CapacityOf({{"cpu", "1"}, {"memory", "8Gi"}}), "2vCPU 9GB");
  EXPECT_EQ(CapacityOf({{"cpu", "1"}, {"memory", "0.5Gi"}}), "1vCPU 2GB");
  EXPECT_EQ(CapacityOf({{"cpu", "500m"}, {"memory", "500Mi"}}), "0.5vCPU 1GB");
  EXPECT_EQ(CapacityOf({{"cpu", "250m"}, {"memory", "256Mi"}}), "0.25vCPU 0.5GB");
  EXPECT_EQ(CapacityOf({{"cpu", "250m"}, {"memory", "512Mi"}}), "0.25vCPU 1GB");
  EXPECT_EQ(CapacityOf({{"cpu", "4"}, {"memory", "10Gi"}}), "4vCPU 11GB");
  EXPECT_EQ(CapacityOf({{"cpu", "16"}, {"memory", "120Gi"}}),
            "Your pod's cpu/memory requirements exceed the max Fargate configuration");
}

TEST(SizePodTest, LimitsAloneAreRequests) {
  EXPECT_EQ(Capacity({{"containers",
                       json::array({Container(nullptr, {{"cpu", "2"}, {"memory", "2Gi"}})})}}),
            "2vCPU 4GB");
}

TEST(SizePodTest, TooLarge) {
  for (const json& requests : {json{{"cpu", "16001m"}}, json{{"memory", "122625Mi"}},
                               json{{"cpu", "9000000"}}, json{{"memory", "8Pi"}}}) {
    EXPECT_EQ(CapacityOf(requests), kTooLarge) << requests;
  }
  EXPECT_EQ(CapacityOf({{"memory", "122624Mi"}}), "16vCPU 120GB");
}

TEST(SizePodTest, ContainersAddUpAndInitContainersTakeTurns) {
  const json one = Container({{"cpu", "250m"}, {"memory", "256Mi"}});
  const json large = Container({{"cpu", "1"}, {"memory", "128Mi"}});
  EXPECT_EQ(Capacity({{"containers", {one, one, one}}}), "1vCPU 2GB");
  EXPECT_EQ(Capacity({{"initContainers", {one, one, one}}, {"containers", {one}}}),
            "0.25vCPU 0.5GB");
  // The larger of each resource by itself.
  EXPECT_EQ(Capacity({{"initContainers", {large}}, {"containers", {one, one}}}), "1vCPU 2GB");
}

TEST(SizePodTest, SidecarsRunWithTheRest) {
  json sidecar = Container({{"cpu", "250m"}, {"memory", "256Mi"}});
  sidecar["restartPolicy"] = "Always";
  const json one = Container({{"cpu", "250m"}, {"memory", "256Mi"}});
  const json init = Container({{"cpu", "300m"}});
  EXPECT_EQ(Capacity({{"initContainers", {sidecar}}, {"containers", {one}}}), "0.5vCPU 1GB");
  // An init container runs beside the sidecars that were started before it.
  EXPECT_EQ(Capacity({{"initContainers", {sidecar, init}}, {"containers", {Container(nullptr)}}}),
            "1vCPU 2GB");
  EXPECT_EQ(Capacity({{"initContainers", {init, sidecar}}, {"containers", {Container(nullptr)}}}),
            "0.5vCPU 1GB");
}

TEST(SizePodTest, RequestsOfThePodStandForItsContainers) {
  EXPECT_EQ(Capacity({{"resources", {{"requests", {{"cpu", "2"}}}}},
                      {"containers", {Container({{"cpu", "250m"}, {"memory", "1Gi"}})}}}),
            "2vCPU 4GB");
}

TEST(SizePodTest, MachineReachesToTheLimits) {
  const auto size = SizePod(Pod({{"containers",
                                  {Container({{"cpu", "250m"}, {"memory", "256Mi"}},
                                             {{"cpu", "500m"}, {"memory", "512Mi"}})}}}));
  ASSERT_TRUE(size);
  EXPECT_EQ(CapacityText(size->provisioned), "0.25vCPU 0.5GB");
  EXPECT_EQ(size->machine, (Configuration{.cpu = {500}, .memory = {768 * kMi}}));
}

TEST(SizePodTest, MachineIsNoSmallerThanItsConfigurationAndNoLargerThanTheLargest) {
  const auto small = SizePod(Pod({{"containers", {Container({{"cpu", "100m"}})}}}));
  ASSERT_TRUE(small);
  EXPECT_EQ(small->machine, small->provisioned);
  const auto large = SizePod(
      Pod({{"containers", {Container({{"cpu", "100m"}}, {{"cpu", "64"}, {"memory", "1Ti"}})}}}));
  ASSERT_FALSE(large);  // a memory limit alone is a request
  const auto capped = SizePod(Pod(
      {{"containers",
        {Container({{"cpu", "100m"}, {"memory", "1Mi"}}, {{"cpu", "64"}, {"memory", "1Ti"}})}}}));
  ASSERT_TRUE(capped);
  EXPECT_EQ(capped->machine, Configurations().back());
}

TEST(SizePodTest, EphemeralStorageIs20To175GiB) {
  const auto storage = [](const char* request) {
    return SizePod(Pod({{"containers", {Container({{"ephemeral-storage", request}})}}}));
  };
  EXPECT_EQ(storage("0")->storage.value, 20 * kGi);
  EXPECT_EQ(storage("20Gi")->storage.value, 20 * kGi);
  EXPECT_EQ(storage("20481Mi")->storage.value, 21 * kGi);
  EXPECT_EQ(storage("175Gi")->storage.value, 175 * kGi);
  ASSERT_FALSE(storage("179201Mi"));
  EXPECT_EQ(storage("179201Mi").error().message,
            "ephemeral-storage: 176 GiB requested, at most 175 GiB are possible");
}

class SizePropertyTest : public ::testing::Test {
 protected:
  MilliCpu Cpu() { return {std::uniform_int_distribution<int64_t>(0, 18'000)(random_)}; }

  Bytes Memory() { return {std::uniform_int_distribution<int64_t>(0, 130 * kGi)(random_)}; }

  static constexpr int kRounds = 20'000;

 private:
  std::mt19937_64 random_{20260101};
};

TEST_F(SizePropertyTest, NeverSmallerThanTheNeedAndAlwaysTheSmallestThatFits) {
  for (int i = 0; i < kRounds; ++i) {
    const MilliCpu cpu = Cpu();
    const Bytes memory = Memory();
    const auto chosen = SmallestWith(cpu, memory);
    if (chosen) {
      EXPECT_GE(chosen->cpu, cpu);
      EXPECT_GE(chosen->memory, memory);
    }
    for (const Configuration& other : Configurations()) {
      const bool fits = other.cpu >= cpu && other.memory >= memory;
      ASSERT_FALSE(fits && (!chosen || other < *chosen)) << cpu.value << " " << memory.value;
    }
  }
}

TEST_F(SizePropertyTest, MoreNeedIsNeverLessPod) {
  for (int i = 0; i < kRounds; ++i) {
    const MilliCpu cpu = Cpu();
    const Bytes memory = Memory();
    const MilliCpu more_cpu = std::max(cpu, Cpu());
    const Bytes more_memory = std::max(memory, Memory());
    const auto less = SmallestWith(cpu, memory);
    const auto more = SmallestWith(more_cpu, more_memory);
    if (!less) {
      EXPECT_FALSE(more);
    } else if (more) {
      EXPECT_GE(more->cpu, less->cpu);
      EXPECT_GE(more->memory, less->memory);
    }
  }
}

}  // namespace
}  // namespace farlet::fargate
