// Task.Pids. All processes of a pod are the VM's on the host; CRI only counts them.
#include "runtime/shim/task/task_service.h"

#include <utility>

namespace farlet::shim {

namespace task = containerd::task::v2;

namespace {

constexpr char kDetails[] = "containerd.runc.v1.ProcessDetails";

void AddProcess(task::PidsResponse& response, uint32_t pid, const std::string& exec_id) {
  auto& info = *response.add_processes();
  info.set_pid(pid);
  if (!exec_id.empty()) {
    task::ProcessDetails details;
    details.set_exec_id(exec_id);
    info.mutable_info()->set_type_url(kDetails);
    info.mutable_info()->set_value(details.SerializeAsString());
  }
}

}  // namespace

void TaskService::Pids(const task::PidsRequest& request, Reply<task::PidsResponse> reply) {
  const Result<ContainerPtr> container = Find(request.id());
  if (!container) {
    reply(container.error());
    return;
  }
  const uint32_t pid = parts_.pod->pid();
  if (!(*container)->in_guest() || (*container)->init->life.stopped()) {
    task::PidsResponse response;
    if (!(*container)->init->life.stopped()) {
      AddProcess(response, pid, "");
    }
    reply(std::move(response));
    return;
  }
  const Result<GuestAgent*> agent = Agent();
  if (!agent) {
    reply(agent.error());
    return;
  }
  guest::v1::ListProcessesRequest list;
  list.set_id(request.id());
  (*agent)->Call<guest::v1::ListProcessesResponse>(
      "ListProcesses", list, kGuestDeadline,
      [pid, reply = std::move(reply)](const Result<guest::v1::ListProcessesResponse>& listed) {
        constexpr int kMaxProcesses = 4096;
        if (!listed) {
          reply(listed.error());
          return;
        }
        task::PidsResponse response;
        for (const auto& process : listed->processes()) {
          if (response.processes_size() < kMaxProcesses) {
            AddProcess(response, pid, process.exec_id());
          }
        }
        reply(std::move(response));
      });
}

}  // namespace farlet::shim
