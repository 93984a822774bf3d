#include "kube/api/service.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace farlet::kube {
namespace {

std::string TextOr(const nlohmann::json& object, const char* key, const std::string& fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : fallback;
}

Result<ServicePort> ParsePort(const nlohmann::json& raw, size_t index) {
  const auto port = raw.is_object() ? raw.find("port") : raw.end();
  if (port == raw.end() || !port->is_number_integer() || port->get<int64_t>() < 1 ||
      port->get<int64_t>() > 65535) {
    return InvalidArgument(
        fmt::format("spec.ports[{}].port: must be a number from 1 to 65535", index));
  }
  return ServicePort{.name = TextOr(raw, "name", ""),
                     .protocol = TextOr(raw, "protocol", "TCP"),
                     .port = port->get<int32_t>()};
}

}  // namespace

Result<Service> Service::FromJson(nlohmann::json object) {
  Service service;
  FARLET_ASSIGN(service.meta, ParseObjectMeta(object));
  const auto spec = object.find("spec");
  if (spec == object.end() || !spec->is_object()) {
    return InvalidArgument("spec: must be an object");
  }
  service.cluster_ip = TextOr(*spec, "clusterIP", "");
  const auto ports = spec->find("ports");
  if (ports != spec->end() && ports->is_array()) {
    for (const nlohmann::json& raw : *ports) {
      FARLET_ASSIGN(ServicePort port, ParsePort(raw, service.ports.size()));
      service.ports.push_back(std::move(port));
    }
  }
  return service;
}

}  // namespace farlet::kube
