#include "provider/app/api_access.h"

#include "kube/auth/kubeconfig.h"
#include "provider/app/version.h"

#include <cstdlib>
#include <string>

namespace farlet::app {
namespace {

// Read before there are other threads that could change it.
std::string Environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? std::string() : value;
}

Result<kube::ClusterAccess> FindAccess(const std::filesystem::path& kubeconfig,
                                       const Clock& clock) {
  if (!kubeconfig.empty()) {
    return kube::LoadKubeconfig(kubeconfig, clock);
  }
  if (const std::string named = Environment("KUBECONFIG"); !named.empty()) {
    return kube::LoadKubeconfig(named, clock);
  }
  if (auto in_cluster = kube::LoadInCluster(clock)) {
    return in_cluster;
  }
  return kube::LoadKubeconfig(std::filesystem::path(Environment("HOME")) / ".kube/config", clock);
}

}  // namespace

Result<std::unique_ptr<kube::Client>> ConnectApi(const std::filesystem::path& kubeconfig,
                                                 const Clock& clock,
                                                 TimerService& timers) {
  FARLET_ASSIGN(const kube::ClusterAccess access, FindAccess(kubeconfig, clock));
  return kube::MakeClient(access, clock, timers, {.user_agent = std::string("farlet/") + kVersion});
}

}  // namespace farlet::app
