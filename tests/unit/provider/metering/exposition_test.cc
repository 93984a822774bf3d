#include "provider/metering/exposition.h"

#include "provider/metering/report_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farlet::metering {
namespace {

using ::testing::HasSubstr;

TEST(ExpositionTest, FollowsTheTextFormat) {
  Exposition exposition;
  exposition.Family("a_total", "counter", "A \\ and a\nline.");
  exposition.Sample({}, "1");
  exposition.Sample({{"x", "a\"b\\c\nd"}, {"y", ""}}, "0.5");
  EXPECT_EQ(exposition.Take(),
            "# HELP a_total A \\\\ and a\\nline.\n"
            "# TYPE a_total counter\n"
            "a_total 1\n"
            "a_total{x=\"a\\\"b\\\\c\\nd\",y=\"\"} 0.5\n");
}

TEST(ExpositionTest, CountersAreExact) {
  const fargate::Configuration small{.cpu = {250}, .memory = {512 * fargate::kMi}};
  const fargate::Usage usage = fargate::UsageOf(small, {21 * fargate::kGi}, seconds(61));
  const std::string text =
      MetricsText({{{.object_namespace = "default", .profile = "fp"},
                    {.charge = {.usage = usage, .cost = fargate::CostOf(usage, {})},
                     .pods = 1,
                     .running = 2}}});
  for (const char* line : {
           "farlet_fargate_vcpu_seconds_total{namespace=\"default\",profile=\"fp\"} 15.25\n",
           "farlet_fargate_memory_gb_seconds_total{namespace=\"default\",profile=\"fp\"} 30.5\n",
           "farlet_fargate_storage_gb_seconds_total{namespace=\"default\",profile=\"fp\"} 61\n",
           "farlet_fargate_cost_total{namespace=\"default\",profile=\"fp\"} 0.0002110176\n",
           "farlet_fargate_pods_ended_total{namespace=\"default\",profile=\"fp\"} 1\n",
           "farlet_fargate_pods_running{namespace=\"default\",profile=\"fp\"} 2\n",
           "# TYPE farlet_fargate_cost_total counter\n",
           "# TYPE farlet_fargate_pods_running gauge\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(DecimalTest, HasNoNeedlessZeros) {
  EXPECT_EQ(CpuText(0), "0");
  EXPECT_EQ(CpuText(250), "0.25");
  EXPECT_EQ(CpuText(16'000), "16");
  EXPECT_EQ(CpuText(1), "0.001");
  EXPECT_EQ(GigabyteText(0), "0");
  EXPECT_EQ(GigabyteText(512), "0.5");
  EXPECT_EQ(GigabyteText(1), "0.0009765625");
  EXPECT_EQ(GigabyteText(5 * 1024 + 1023), "5.9990234375");
}

}  // namespace
}  // namespace farlet::metering
