#pragma once

#include "kube/api/meta.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace farlet::kube {

// core/v1 Service, as far as environment variables of pods need it.
struct ServicePort {
  std::string name;
  std::string protocol = "TCP";
  int32_t port = 0;
};

struct Service {
  ObjectMeta meta;
  std::string cluster_ip;  // "None" or empty for services without one
  std::vector<ServicePort> ports;

  static Result<Service> FromJson(nlohmann::json object);
};

}  // namespace farlet::kube
