#include "provider/pod/hostname.h"

#include <fmt/format.h>

namespace farlet::pod {

Result<PodHostname> MakePodHostname(const kube::Pod& pod, const NodeContext& node) {
  constexpr size_t kMaxLength = 63;
  const kube::PodSpec& spec = pod.spec;
  PodHostname host;
  host.name =
      spec.hostname_override.value_or(spec.hostname.empty() ? pod.meta.name : spec.hostname);
  if (host.name.size() > kMaxLength) {
    const std::string whole = host.name;
    host.name.resize(kMaxLength);
    host.name.erase(host.name.find_last_not_of("-.") + 1);
    if (host.name.empty()) {
      return InvalidArgument(
          fmt::format("hostname for pod \"{}\" was invalid: \"{}\"", pod.meta.name, whole));
    }
  }
  if (!spec.subdomain.empty() && !spec.hostname_override) {
    host.domain =
        fmt::format("{}.{}.svc.{}", spec.subdomain, pod.meta.object_namespace, node.cluster_domain);
  }
  return host;
}

Result<std::string> KernelHostname(const kube::Pod& pod, const NodeContext& node) {
  constexpr size_t kMaxLength = 64;
  FARLET_ASSIGN(const PodHostname host, MakePodHostname(pod, node));
  if (!pod.spec.set_hostname_as_fqdn || host.domain.empty()) {
    return host.name;
  }
  const std::string fqdn = host.name + "." + host.domain;
  if (fqdn.size() > kMaxLength) {
    return InvalidArgument(
        fmt::format("failed to construct FQDN from pod hostname and cluster domain, FQDN {} is too "
                    "long ({} characters is the max, {} characters requested)",
                    fqdn, kMaxLength, fqdn.size()));
  }
  return fqdn;
}

}  // namespace farlet::pod
