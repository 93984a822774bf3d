// Task.Stats: of a container, or, for a sandbox, of all that runs in the guest.
#include "runtime/shim/metrics.h"
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

task::StatsResponse Pack(const guest::v1::StatsResponse& stats, bool cgroup_v2) {
  task::StatsResponse response;
  *response.mutable_stats() = MetricsOf(stats, cgroup_v2);
  return response;
}

}  // namespace

void TaskService::Stats(const task::StatsRequest& request, Reply<task::StatsResponse> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  const Result<GuestAgent*> agent = Agent();
  if (!container || !agent) {
    reply(!container ? container.error() : agent.error());
    return;
  }
  const bool v2 = parts_.cgroup_v2;
  if (!(*container)->in_guest()) {
    (*agent)->Call<guest::v1::PodStatsResponse>(
        "PodStats", guest::v1::PodStatsRequest(), kGuestDeadline,
        [v2, reply = std::move(reply)](const Result<guest::v1::PodStatsResponse>& pod) {
          if (!pod) {
            reply(pod.error());
            return;
          }
          guest::v1::StatsResponse stats;
          *stats.mutable_cpu() = pod->cpu();
          *stats.mutable_memory() = pod->memory();
          *stats.mutable_pids() = pod->pids();
          *stats.mutable_io() = pod->io();
          reply(Pack(stats, v2));
        });
    return;
  }
  guest::v1::StatsRequest stats;
  stats.set_id(request.id());
  (*agent)->Call<guest::v1::StatsResponse>(
      "Stats", stats, kGuestDeadline,
      [v2, reply = std::move(reply)](const Result<guest::v1::StatsResponse>& answer) {
        answer ? reply(Pack(*answer, v2)) : reply(answer.error());
      });
}

}  // namespace farlet::shim
