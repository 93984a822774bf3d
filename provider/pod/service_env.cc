#include "provider/pod/service_env.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace farlet::pod {
namespace {

std::string UpperName(const std::string& name) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char letter) {
    return letter == '-' ? '_' : static_cast<char>(std::toupper(letter));
  });
  return upper;
}

void AddService(const kube::Service& service, std::map<std::string, std::string>& env) {
  const std::string prefix = UpperName(service.meta.name);
  const std::string& ip = service.cluster_ip;
  const std::string host = ip.find(':') == std::string::npos ? ip : "[" + ip + "]";
  env[prefix + "_SERVICE_HOST"] = ip;
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const kube::ServicePort& port = service.ports[i];
    std::string protocol = port.protocol;
    std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    const std::string url = fmt::format("{}://{}:{}", protocol, host, port.port);
    const std::string number = std::to_string(port.port);
    if (i == 0) {
      env[prefix + "_SERVICE_PORT"] = number;
      env[prefix + "_PORT"] = url;
    }
    if (!port.name.empty()) {
      env[prefix + "_SERVICE_PORT_" + UpperName(port.name)] = number;
    }
    const std::string base = fmt::format("{}_PORT_{}_{}", prefix, number, UpperName(port.protocol));
    env[base] = url;
    env[base + "_PROTO"] = protocol;
    env[base + "_PORT"] = number;
    env[base + "_ADDR"] = ip;
  }
}

}  // namespace

std::map<std::string, std::string> ServiceEnv(
    const std::vector<std::shared_ptr<const kube::Service>>& services,
    const std::string& pod_namespace,
    bool enable_service_links) {
  std::map<std::string, std::string> env;
  const auto add_if = [&](auto&& wanted) {
    for (const auto& service : services) {
      const bool has_ip = !service->cluster_ip.empty() && service->cluster_ip != "None";
      if (has_ip && !service->ports.empty() && wanted(service->meta)) {
        AddService(*service, env);
      }
    }
  };
  add_if([](const kube::ObjectMeta& meta) {
    return meta.object_namespace == "default" && meta.name == "kubernetes";
  });
  if (enable_service_links) {
    // A service "kubernetes" of the pod's own namespace wins over the master's.
    add_if([&](const kube::ObjectMeta& meta) { return meta.object_namespace == pod_namespace; });
  }
  return env;
}

}  // namespace farlet::pod
