#include "runtime/guest/cgroup_stats.h"

#include "proto/guest/v1/guest.pb.h"

#include <charconv>
#include <string>

namespace farlet::guest {
namespace {

// Takes a number off the front of `text`, and the letter behind it.
uint64_t TakeNumber(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto used = error == std::errc() ? static_cast<size_t>(end - text.data()) : 0;
  text.remove_prefix(std::min(text.size(), used + 1));
  return value;
}

// "rbytes=1 wbytes=2 …"
void ParseIoFields(std::string_view line, v1::IoStats* stats) {
  while (!line.empty()) {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
      return;
    }
    const std::string_view key = line.substr(0, equals);
    line.remove_prefix(equals + 1);
    const uint64_t value = TakeNumber(line);
    if (key == "rbytes") {
      stats->set_read_bytes(value);
    } else if (key == "wbytes") {
      stats->set_write_bytes(value);
    } else if (key == "rios") {
      stats->set_read_operations(value);
    } else if (key == "wios") {
      stats->set_write_operations(value);
    }
  }
}

}  // namespace

void FillCpu(const Cgroup& cgroup, v1::CpuStats* stats) {
  const std::string text = cgroup.Text("cpu.stat");
  const auto value = [&](std::string_view key) { return FindValue(text, key).value_or(0); };
  stats->set_usage_us(value("usage_usec"));
  stats->set_user_us(value("user_usec"));
  stats->set_system_us(value("system_usec"));
  stats->set_periods(value("nr_periods"));
  stats->set_throttled_periods(value("nr_throttled"));
  stats->set_throttled_us(value("throttled_usec"));
}

void FillMemory(const Cgroup& cgroup, v1::MemoryStats* stats) {
  const std::string text = cgroup.Text("memory.stat");
  const auto value = [&](std::string_view key) { return FindValue(text, key).value_or(0); };
  stats->set_current(cgroup.Number("memory.current").value_or(0));
  stats->set_limit(cgroup.Number("memory.max").value_or(UINT64_MAX));
  stats->set_peak(cgroup.Number("memory.peak").value_or(0));
  stats->set_swap_current(cgroup.Number("memory.swap.current").value_or(0));
  stats->set_swap_limit(cgroup.Number("memory.swap.max").value_or(UINT64_MAX));
  stats->set_oom_kills(cgroup.Value("memory.events", "oom_kill").value_or(0));
  stats->set_anon(value("anon"));
  stats->set_file(value("file"));
  stats->set_inactive_file(value("inactive_file"));
  stats->set_active_file(value("active_file"));
  stats->set_kernel(value("kernel"));
  stats->set_shmem(value("shmem"));
  stats->set_slab(value("slab"));
  stats->set_mapped_file(value("file_mapped"));
  stats->set_page_faults(value("pgfault"));
  stats->set_major_page_faults(value("pgmajfault"));
}

void FillPids(const Cgroup& cgroup, v1::PidsStats* stats) {
  stats->set_current(cgroup.Number("pids.current").value_or(0));
  stats->set_limit(cgroup.Number("pids.max").value_or(UINT64_MAX));
}

void FillIo(const Cgroup& cgroup, google::protobuf::RepeatedPtrField<v1::IoStats>* stats) {
  ParseIo(cgroup.Text("io.stat"), stats);
}

void ParseIo(std::string_view text, google::protobuf::RepeatedPtrField<v1::IoStats>* stats) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    // "254:0 rbytes=…"; devices without traffic have no fields.
    const uint64_t major = TakeNumber(line);
    const uint64_t minor = TakeNumber(line);
    if (line.find('=') == std::string_view::npos) {
      continue;
    }
    v1::IoStats* one = stats->Add();
    one->set_major(major);
    one->set_minor(minor);
    ParseIoFields(line, one);
  }
}

}  // namespace farlet::guest
