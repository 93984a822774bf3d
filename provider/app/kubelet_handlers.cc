#include "provider/app/kubelet_handlers.h"

#include "provider/metering/exposition.h"
#include "provider/metering/report_json.h"
#include "provider/pod/lookup.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::app {
namespace {

using pod::PodView;

// The loop is taken for dead when no worker took anything up for so long.
constexpr std::chrono::minutes kSyncLoopLimit{5};

Result<PodView> FindPod(const HandlerDependencies& needs,
                        const std::string& pod_namespace,
                        const std::string& name,
                        const std::string& uid) {
  return pod::FindPodView(needs.pods.Pods(), pod_namespace, name, uid);
}

bool IsRunning(const cri::RuntimeCache& cache, const std::string& uid, const cri::ContainerId& id) {
  const cri::PodRuntimePtr runtime = cache.Get(uid);
  return runtime != nullptr &&
         std::any_of(runtime->containers.begin(), runtime->containers.end(),
                     [&](const cri::ContainerView& container) {
                       return container.status.id == id &&
                              container.status.state == cri::ContainerState::kRunning;
                     });
}

Result<server::LogTarget> FindLog(const HandlerDependencies& needs,
                                  const server::ContainerRef& container,
                                  bool previous) {
  FARLET_ASSIGN(const PodView view,
                FindPod(needs, container.pod_namespace, container.pod, container.uid));
  FARLET_ASSIGN(const pod::ContainerLog log,
                pod::FindContainerLog(view, container.container, previous));
  return server::LogTarget{
      .path = log.path, .running = [&cache = needs.cache, uid = view.pod->meta.uid, id = log.id] {
        return IsRunning(cache, uid, id);
      }};
}

// A session's options from the request; the terminal of attach is the container's own.
Result<cri::StreamOptions> SessionOptions(const HandlerDependencies& needs,
                                          const server::StreamRequest& request,
                                          bool attach) {
  const server::ContainerRef& container = request.container;
  FARLET_ASSIGN(const PodView view,
                FindPod(needs, container.pod_namespace, container.pod, container.uid));
  FARLET_ASSIGN(cri::ContainerId id, pod::RunningContainer(view, container.container));
  bool tty = request.tty;
  if (attach) {
    const auto& specs = view.pod->spec.containers;
    const auto spec = std::find_if(specs.begin(), specs.end(), [&](const kube::Container& one) {
      return one.name == container.container;
    });
    tty = spec != specs.end() && spec->tty;
  }
  return cri::StreamOptions{.container = std::move(id),
                            .command = request.command,
                            .stdin_open = request.in,
                            .stdout_open = request.out,
                            .stderr_open = request.err && !tty,
                            .tty = tty};
}

void PortForward(const HandlerDependencies& needs,
                 const server::PortForwardRequest& request,
                 Callback<std::string> done) {
  const auto view = FindPod(needs, request.pod_namespace, request.pod, request.uid);
  if (!view) {
    done(view.error());
    return;
  }
  const auto sandbox = pod::RunningSandbox(*view);
  if (!sandbox) {
    done(sandbox.error());
    return;
  }
  needs.runtime.PortForward(*sandbox, request.ports, std::move(done));
}

void RunCommand(const HandlerDependencies& needs,
                const server::StreamRequest& request,
                Callback<std::string> done) {
  const auto options = SessionOptions(needs, request, false);
  if (!options) {
    done(options.error());
    return;
  }
  needs.runtime.ExecSync(options->container, request.command, seconds(0),
                         [done = std::move(done)](Result<cri::ExecSyncResult> result) {
                           if (!result) {
                             done(result.error());
                             return;
                           }
                           done(result->stdout_text + result->stderr_text);
                         });
}

nlohmann::json ConfigDocument(const NodeConfig& config) {
  return {{"kubeletconfig",
           {{"kind", "KubeletConfiguration"},
            {"apiVersion", "kubelet.config.k8s.io/v1beta1"},
            {"address", config.address},
            {"port", config.port},
            {"maxPods", config.max_pods},
            {"clusterDNS", config.cluster_dns},
            {"clusterDomain", config.cluster_domain},
            {"cgroupDriver", config.cgroup_driver},
            {"kubeAPIQPS", config.kube_api_qps},
            {"kubeAPIBurst", config.kube_api_burst},
            {"eventRecordQPS", config.event_qps},
            {"eventBurst", config.event_burst},
            {"containerRuntimeEndpoint", config.container_runtime_endpoint},
            {"containerLogMaxFiles", config.container_log_max_files},
            {"authentication", {{"anonymous", {{"enabled", false}}}}},
            {"authorization", {{"mode", "Webhook"}}}}}};
}

void AddSessions(server::Handlers& handlers, const HandlerDependencies& needs) {
  handlers.exec_url = [needs](const server::StreamRequest& request, Callback<std::string> done) {
    const auto options = SessionOptions(needs, request, false);
    options ? needs.runtime.Exec(*options, std::move(done)) : done(options.error());
  };
  handlers.attach_url = [needs](const server::StreamRequest& request, Callback<std::string> done) {
    const auto options = SessionOptions(needs, request, true);
    options ? needs.runtime.Attach(*options, std::move(done)) : done(options.error());
  };
  handlers.port_forward_url = [needs](const server::PortForwardRequest& request,
                                      Callback<std::string> done) {
    PortForward(needs, request, std::move(done));
  };
  handlers.run = [needs](const server::StreamRequest& request, Callback<std::string> done) {
    RunCommand(needs, request, std::move(done));
  };
}

void AddMetering(server::Handlers& handlers, const metering::Ledger& ledger) {
  handlers.metrics = [&ledger](Callback<std::string> done) {
    done(metering::MetricsText(ledger.Counters()));
  };
  handlers.cost = [&ledger](const server::QueryParameters& parameters, Callback<std::string> done) {
    const auto query = metering::ParseCostQuery(parameters);
    if (!query) {
      done(query.error());
      return;
    }
    done(metering::ReportToJson(ledger.MakeReport(*query)).dump());
  };
}

}  // namespace

server::Handlers MakeKubeletHandlers(const HandlerDependencies& needs, const NodeConfig& config) {
  server::Handlers handlers;
  handlers.pods = [needs](Callback<std::string> done) {
    done(pod::PodListJson(needs.pods.Pods()).dump());
  };
  handlers.running_pods = [needs](Callback<std::string> done) {
    done(pod::RunningPodsJson(needs.pods.Pods()).dump());
  };
  handlers.configz = [text = ConfigDocument(config).dump()](Callback<std::string> done) {
    done(text);
  };
  handlers.log_target = [needs](const server::ContainerRef& container, bool previous,
                                Callback<server::LogTarget> done) {
    done(FindLog(needs, container, previous));
  };
  AddSessions(handlers, needs);
  AddMetering(handlers, needs.ledger);
  handlers.sync_loop = [needs]() -> Status {
    if (needs.clock.Now() - needs.pods.last_activity() > kSyncLoopLimit) {
      return Unavailable("sync loop took too long");
    }
    return {};
  };
  return handlers;
}

}  // namespace farlet::app
