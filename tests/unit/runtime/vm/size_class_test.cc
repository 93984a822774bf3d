#include "runtime/vm/size_class.h"

#include <gtest/gtest.h>

namespace farlet::vm {
namespace {

constexpr uint64_t kMiB = 1ull << 20;
constexpr uint64_t kGiB = 1ull << 30;
constexpr PodLimits kDefaults{.memory_bytes = 400 * kMiB, .milli_cpus = 1000};
constexpr HostCapacity kHost{.cpus = 16, .memory_bytes = 24 * kGiB};

TEST(SizeClassTest, Table) {
  struct Case {
    PodLimits limits;
    HostCapacity host;
    MachineSize expected;
  };

  const Case cases[] = {
      // unlimited: the defaults
      {{0, 0}, kHost, {1, 512}},
      {{0, 2500}, kHost, {4, 512}},
      {{1 * kGiB, 0}, kHost, {1, 2048}},
      // the guest's own share on top: 48 MiB and a 32nd
      {{1, 1}, kHost, {1, 256}},
      {{201 * kMiB, 100}, kHost, {1, 256}},
      {{202 * kMiB, 100}, kHost, {1, 256}},
      {{203 * kMiB, 100}, kHost, {1, 512}},
      {{202 * kMiB + 1, 100}, kHost, {1, 512}},
      {{512 * kMiB, 1000}, kHost, {1, 1024}},
      {{4 * kGiB, 1001}, kHost, {2, 8192}},
      // vCPUs double, up to the host's
      {{1, 3000}, kHost, {4, 256}},
      {{1, 16000}, kHost, {16, 256}},
      {{1, 17000}, kHost, {16, 256}},
      {{1, 3000}, {3, kGiB}, {3, 256}},
      {{1, ~0ull}, {200, kGiB}, {64, 256}},
      {{1, 500}, {0, kGiB}, {1, 256}},
      // no more memory than the host's, rounded up
      {{64 * kGiB, 1000}, kHost, {1, 32768}},
      {{~0ull, 1000}, kHost, {1, 32768}},
      {{~0ull, 1000}, {1, ~0ull}, {1, 1u << 20}},
      {{~0ull, 1000}, {1, 0}, {1, 256}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(SizeClassFor(c.limits, kDefaults, c.host), c.expected)
        << c.limits.memory_bytes << " bytes, " << c.limits.milli_cpus << "m on " << c.host.cpus
        << " CPUs";
  }
}

TEST(SizeClassTest, ThisHostHasSomething) {
  EXPECT_GE(ThisHost().cpus, 1u);
  EXPECT_GE(ThisHost().memory_bytes, 64 * kMiB);
}

}  // namespace
}  // namespace farlet::vm
