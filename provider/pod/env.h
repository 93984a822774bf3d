#pragma once

#include "kube/api/pod.h"
#include "provider/pod/references.h"
#include "runtime/cri/types.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace farlet::pod {

// What env needs beside the pod.
struct EnvContext {
  const kube::Pod& pod;
  const ObjectLookup& objects;
  std::vector<std::string> pod_ips;
  std::string host_ip;
  std::string node_name;
  kube::ResourceList node_allocatable;  // default of unset limits in resourceFieldRef
  // Service variables of the pod's namespace (empty until services are read).
  std::map<std::string, std::string> service_env;
};

// kubelet-contract B4: service variables, envFrom, env in order with $(VAR) expansion. Errors:
// kNotFound with the kubelet's text ("configmap \"x\" not found", "couldn't find key K in Secret
// NS/NAME") → CreateContainerConfigError; kUnavailable while an object is still being read.
Result<std::vector<cri::EnvVar>> MakeEnv(const kube::Container& container,
                                         const EnvContext& context);

// "$(NAME)" by `variables`; unknown references stay, "$$" is "$". Not recursive.
std::string Expand(std::string_view text, const std::map<std::string, std::string>& variables);

// The same with `value` called for each NAME.
std::string Expand(std::string_view text,
                   const std::function<std::string(const std::string& name)>& value);

// fieldRef and resourceFieldRef, shared with downward API volumes. kInvalidArgument for a field
// path that is not supported.
Result<std::string> FieldValue(const kube::FieldSelector& field, const EnvContext& context);
Result<std::string> ResourceFieldValue(const kube::ResourceFieldSelector& field,
                                       const kube::Container* own_container,
                                       const EnvContext& context);

}  // namespace farlet::pod
