#include "runtime/shim/metrics.h"

#include "proto/containerd/metrics/v1/metrics.pb.h"
#include "proto/containerd/metrics/v2/metrics.pb.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace farlet::shim {
namespace {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

constexpr uint64_t kNanosPerMicro = 1000;
constexpr int kMaxIoEntries = 64;

void FillCpuV1(const guest::v1::CpuStats& from, v1::CPUStat& to) {
  to.mutable_usage()->set_total(from.usage_us() * kNanosPerMicro);
  to.mutable_usage()->set_user(from.user_us() * kNanosPerMicro);
  to.mutable_usage()->set_kernel(from.system_us() * kNanosPerMicro);
  to.mutable_throttling()->set_periods(from.periods());
  to.mutable_throttling()->set_throttled_periods(from.throttled_periods());
  to.mutable_throttling()->set_throttled_time(from.throttled_us() * kNanosPerMicro);
}

void FillMemoryV1(const guest::v1::MemoryStats& from, v1::MemoryStat& to) {
  to.set_cache(from.file());
  to.set_total_cache(from.file());
  to.set_rss(from.anon());
  to.set_total_rss(from.anon());
  to.set_pg_fault(from.page_faults());
  to.set_total_pg_fault(from.page_faults());
  to.set_pg_maj_fault(from.major_page_faults());
  to.set_total_pg_maj_fault(from.major_page_faults());
  to.set_inactive_file(from.inactive_file());
  to.set_total_inactive_file(from.inactive_file());
  to.set_active_file(from.active_file());
  to.set_total_active_file(from.active_file());
  to.set_hierarchical_memory_limit(from.limit());
  to.mutable_usage()->set_usage(from.current());
  to.mutable_usage()->set_limit(from.limit());
  to.mutable_usage()->set_max(std::max(from.peak(), from.current()));
  to.mutable_usage()->set_failcnt(from.oom_kills());
  to.mutable_swap()->set_usage(from.swap_current());
  to.mutable_swap()->set_limit(from.swap_limit());
  to.mutable_kernel()->set_usage(from.kernel());
}

void AddIoV1(v1::BlkIOStat& to, const guest::v1::IoStats& from) {
  const auto add = [&](auto* entry, const char* op, uint64_t value) {
    entry->set_op(op);
    entry->set_major(from.major());
    entry->set_minor(from.minor());
    entry->set_value(value);
  };
  add(to.add_io_service_bytes_recursive(), "Read", from.read_bytes());
  add(to.add_io_service_bytes_recursive(), "Write", from.write_bytes());
  add(to.add_io_serviced_recursive(), "Read", from.read_operations());
  add(to.add_io_serviced_recursive(), "Write", from.write_operations());
}

v1::Metrics ToV1(const guest::v1::StatsResponse& stats) {
  v1::Metrics metrics;
  FillCpuV1(stats.cpu(), *metrics.mutable_cpu());
  FillMemoryV1(stats.memory(), *metrics.mutable_memory());
  metrics.mutable_pids()->set_current(stats.pids().current());
  // v1 says 0 for "no limit".
  metrics.mutable_pids()->set_limit(stats.pids().limit() == UINT64_MAX ? 0 : stats.pids().limit());
  metrics.mutable_memory_oom_control()->set_oom_kill(stats.memory().oom_kills());
  for (int i = 0; i < std::min(stats.io_size(), kMaxIoEntries); ++i) {
    AddIoV1(*metrics.mutable_blkio(), stats.io(i));
  }
  return metrics;
}

void FillMemoryV2(const guest::v1::MemoryStats& from, v2::MemoryStat& to) {
  to.set_anon(from.anon());
  to.set_file(from.file());
  to.set_slab(from.slab());
  to.set_shmem(from.shmem());
  to.set_file_mapped(from.mapped_file());
  to.set_inactive_file(from.inactive_file());
  to.set_active_file(from.active_file());
  to.set_pgfault(from.page_faults());
  to.set_pgmajfault(from.major_page_faults());
  to.set_usage(from.current());
  to.set_usage_limit(from.limit());
  to.set_swap_usage(from.swap_current());
  to.set_swap_limit(from.swap_limit());
}

v2::Metrics ToV2(const guest::v1::StatsResponse& stats) {
  v2::Metrics metrics;
  auto& cpu = *metrics.mutable_cpu();
  cpu.set_usage_usec(stats.cpu().usage_us());
  cpu.set_user_usec(stats.cpu().user_us());
  cpu.set_system_usec(stats.cpu().system_us());
  cpu.set_nr_periods(stats.cpu().periods());
  cpu.set_nr_throttled(stats.cpu().throttled_periods());
  cpu.set_throttled_usec(stats.cpu().throttled_us());
  FillMemoryV2(stats.memory(), *metrics.mutable_memory());
  metrics.mutable_pids()->set_current(stats.pids().current());
  metrics.mutable_pids()->set_limit(stats.pids().limit());
  metrics.mutable_memory_events()->set_oom_kill(stats.memory().oom_kills());
  for (int i = 0; i < std::min(stats.io_size(), kMaxIoEntries); ++i) {
    auto& entry = *metrics.mutable_io()->add_usage();
    entry.set_major(stats.io(i).major());
    entry.set_minor(stats.io(i).minor());
    entry.set_rbytes(stats.io(i).read_bytes());
    entry.set_wbytes(stats.io(i).write_bytes());
    entry.set_rios(stats.io(i).read_operations());
    entry.set_wios(stats.io(i).write_operations());
  }
  return metrics;
}

template <class Message>
wkt::Any Pack(const char* type, const Message& message) {
  wkt::Any any;
  any.set_type_url(type);
  any.set_value(message.SerializeAsString());
  return any;
}

}  // namespace

wkt::Any MetricsOf(const guest::v1::StatsResponse& stats, bool cgroup_v2) {
  return cgroup_v2 ? Pack("io.containerd.cgroups.v2.Metrics", ToV2(stats))
                   : Pack("io.containerd.cgroups.v1.Metrics", ToV1(stats));
}

}  // namespace farlet::shim
