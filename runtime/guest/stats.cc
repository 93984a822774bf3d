#include "runtime/base/file.h"
#include "runtime/guest/agent.h"
#include "runtime/guest/cgroup_stats.h"
#include "runtime/guest/network.h"
#include "runtime/guest/sys.h"

#include <sys/statvfs.h>

#include <charconv>
#include <utility>

namespace farlet::guest {
namespace {

void FillDisk(const std::string& path, v1::FilesystemStats* stats) {
  struct statvfs info {};

  if (::statvfs(path.c_str(), &info) != 0) {
    return;
  }
  stats->set_capacity_bytes(info.f_blocks * info.f_frsize);
  stats->set_available_bytes(info.f_bavail * info.f_frsize);
  stats->set_used_bytes((info.f_blocks - info.f_bfree) * info.f_frsize);
  stats->set_inodes(info.f_files);
  stats->set_inodes_free(info.f_ffree);
  stats->set_inodes_used(info.f_files - info.f_ffree);
}

// "MemTotal:       123 kB"
uint64_t FindMemory(std::string_view text, std::string_view key) {
  const size_t found = text.find(key);
  if (found == std::string_view::npos) {
    return 0;
  }
  text.remove_prefix(found + key.size());
  text.remove_prefix(std::min(text.size(), text.find_first_of("0123456789")));
  uint64_t kib = 0;
  std::from_chars(text.data(), text.data() + text.size(), kib);
  return kib * 1024;
}

}  // namespace

Result<v1::StatsResponse> Agent::Stats(const v1::StatsRequest& request) {
  FARLET_ASSIGN(const auto container, Find(request.id()));
  v1::StatsResponse response;
  FillCpu(container->cgroup, response.mutable_cpu());
  FillMemory(container->cgroup, response.mutable_memory());
  FillPids(container->cgroup, response.mutable_pids());
  FillIo(container->cgroup, response.mutable_io());
  response.set_taken_at_ns(WallTimeNs());
  return response;
}

Result<v1::PodStatsResponse> Agent::PodStats(const v1::PodStatsRequest& /*request*/) {
  FARLET_TRY(CheckPrepared());
  v1::PodStatsResponse response;
  FillCpu(pod_, response.mutable_cpu());
  FillMemory(pod_, response.mutable_memory());
  FillPids(pod_, response.mutable_pids());
  FillIo(pod_, response.mutable_io());
  FillDisk(layout_.Disk(), response.mutable_disk());
  if (const auto text = ReadFile("/proc/net/dev", 1u << 20)) {
    ParseInterfaceStats(*text, &response);
  }
  if (const auto text = ReadFile("/proc/meminfo", 1u << 16)) {
    response.set_guest_memory_total(FindMemory(*text, "MemTotal:"));
    response.set_guest_memory_available(FindMemory(*text, "MemAvailable:"));
  }
  response.set_taken_at_ns(WallTimeNs());
  return response;
}

void Agent::NextEvents(const ttrpc::Request& call,
                       const v1::NextEventsRequest& /*request*/,
                       const Answer<v1::NextEventsResponse>& answer) {
  ooms_.Take(call.cancellation, [answer](Result<std::vector<std::string>> ids) {
    if (!ids) {
      answer(std::move(ids).error());
      return;
    }
    v1::NextEventsResponse response;
    for (std::string& id : *ids) {
      response.add_events()->mutable_oom()->set_container_id(std::move(id));
    }
    answer(std::move(response));
  });
}

}  // namespace farlet::guest
