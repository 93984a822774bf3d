#include "kube/api/field_reader.h"
#include "kube/api/pod_parse.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::kube {
namespace {

constexpr int32_t kMaxPort = 65535;

void ReadPort(const FieldReader& in, std::string_view key, int32_t low, int32_t& out) {
  in.Read(key, out);
  if (in.Has(key) && (out < low || out > kMaxPort)) {
    in.Fail(key, fmt::format("must be between {} and {}", low, kMaxPort));
  }
}

PortReference ReadPortReference(const FieldReader& in) {
  const nlohmann::json* value = in.Find("port");
  if (value != nullptr && value->is_string()) {
    return value->get<std::string>();
  }
  int32_t port = 0;
  ReadPort(in, "port", 1, port);
  if (value == nullptr) {
    in.Fail("port", "is missing");
  }
  return port;
}

template <class Selector>
Selector ParseKeySelector(const FieldReader& in) {
  Selector selector;
  in.Read("name", selector.name);
  in.Read("key", selector.key);
  in.Read("optional", selector.optional);
  return selector;
}

EnvVar ParseEnvVar(const FieldReader& in, std::vector<std::string>& not_understood) {
  EnvVar env;
  in.Read("name", env.name);
  const FieldReader from = in.Object("valueFrom");
  if (!from.present()) {
    std::string value;
    in.Read("value", value);
    env.source = std::move(value);
  } else if (from.Has("configMapKeyRef")) {
    env.source = ParseKeySelector<ConfigMapKey>(from.Object("configMapKeyRef"));
  } else if (from.Has("secretKeyRef")) {
    env.source = ParseKeySelector<SecretKey>(from.Object("secretKeyRef"));
  } else if (from.Has("fieldRef")) {
    env.source = ParseFieldSelector(from.Object("fieldRef"));
  } else if (from.Has("resourceFieldRef")) {
    env.source = ParseResourceFieldSelector(from.Object("resourceFieldRef"));
  } else {
    for (const std::string& key : from.Keys()) {
      not_understood.push_back(fmt::format("{}.{}", from.Path(), key));
    }
  }
  return env;
}

EnvFromSource ParseEnvFrom(const FieldReader& in) {
  EnvFromSource source;
  const bool secret = in.Has("secretRef");
  source.kind = secret ? EnvFromSource::Kind::kSecret : EnvFromSource::Kind::kConfigMap;
  const FieldReader ref = in.Object(secret ? "secretRef" : "configMapRef");
  in.Read("prefix", source.prefix);
  ref.Read("name", source.name);
  ref.Read("optional", source.optional);
  return source;
}

ContainerPort ParsePort(const FieldReader& in) {
  ContainerPort port;
  in.Read("name", port.name);
  ReadPort(in, "containerPort", 1, port.container_port);
  ReadPort(in, "hostPort", 0, port.host_port);
  in.Read("hostIP", port.host_ip);
  in.Read("protocol", port.protocol);
  if (port.protocol != "TCP" && port.protocol != "UDP" && port.protocol != "SCTP") {
    in.Fail("protocol",
            fmt::format("\"{}\" is not one of TCP, UDP, SCTP", port.protocol.substr(0, 64)));
  }
  return port;
}

VolumeMount ParseVolumeMount(const FieldReader& in, std::vector<std::string>& not_understood) {
  VolumeMount mount;
  in.Read("name", mount.name);
  in.Read("mountPath", mount.mount_path);
  in.Read("subPath", mount.sub_path);
  in.Read("subPathExpr", mount.sub_path_expr);
  in.Read("mountPropagation", mount.mount_propagation);
  in.Read("readOnly", mount.read_only);
  std::string recursive;
  in.Read("recursiveReadOnly", recursive);
  if (recursive == "Enabled") {
    not_understood.push_back(in.Path() + ".recursiveReadOnly");
  }
  return mount;
}

HttpGetAction ParseHttpGet(const FieldReader& in) {
  HttpGetAction action;
  in.Read("path", action.path);
  action.port = ReadPortReference(in);
  in.Read("host", action.host);
  in.Read("scheme", action.scheme);
  in.List("httpHeaders", [&](const FieldReader& item) {
    HttpHeader& header = action.headers.emplace_back();
    item.Read("name", header.name);
    item.Read("value", header.value);
  });
  return action;
}

void ParseProbeAction(const FieldReader& in, Probe& probe) {
  if (in.Has("httpGet")) {
    probe.action = ParseHttpGet(in.Object("httpGet"));
  } else if (in.Has("tcpSocket")) {
    const FieldReader socket = in.Object("tcpSocket");
    TcpSocketAction action{.port = ReadPortReference(socket)};
    socket.Read("host", action.host);
    probe.action = std::move(action);
  } else if (in.Has("grpc")) {
    const FieldReader grpc = in.Object("grpc");
    GrpcAction action;
    ReadPort(grpc, "port", 1, action.port);
    grpc.Read("service", action.service);
    probe.action = std::move(action);
  } else {
    ExecAction action;
    in.Object("exec").Read("command", action.command);
    if (action.command.empty()) {
      in.Fail("has no action");
    }
    probe.action = std::move(action);
  }
}

std::optional<Probe> ParseProbe(const FieldReader& in) {
  if (!in.present()) {
    return std::nullopt;
  }
  const Probe defaults;
  Probe probe;
  ParseProbeAction(in, probe);
  in.Read("initialDelaySeconds", probe.initial_delay);
  in.Read("timeoutSeconds", probe.timeout);
  in.Read("periodSeconds", probe.period);
  in.Read("successThreshold", probe.success_threshold);
  in.Read("failureThreshold", probe.failure_threshold);
  in.Read("terminationGracePeriodSeconds", probe.termination_grace_period);
  // The API server replaces zero by the default; negative values it refuses.
  probe.initial_delay = std::max(probe.initial_delay, seconds(0));
  probe.timeout = probe.timeout < seconds(1) ? defaults.timeout : probe.timeout;
  probe.period = probe.period < seconds(1) ? defaults.period : probe.period;
  probe.success_threshold = std::max(probe.success_threshold, 1);
  if (probe.failure_threshold < 1) {
    probe.failure_threshold = defaults.failure_threshold;
  }
  return probe;
}

SecurityContext ParseSecurity(const FieldReader& in, std::vector<std::string>& not_understood) {
  SecurityContext security;
  const FieldReader capabilities = in.Object("capabilities");
  capabilities.Read("add", security.capabilities_add);
  capabilities.Read("drop", security.capabilities_drop);
  in.Read("privileged", security.privileged);
  in.Read("runAsUser", security.run_as_user);
  in.Read("runAsGroup", security.run_as_group);
  in.Read("runAsNonRoot", security.run_as_non_root);
  in.Read("readOnlyRootFilesystem", security.read_only_root_filesystem);
  in.Read("allowPrivilegeEscalation", security.allow_privilege_escalation);
  security.seccomp = ParseSecurityProfile(in.Object("seccompProfile"));
  security.apparmor = ParseSecurityProfile(in.Object("appArmorProfile"));
  std::string proc_mount;
  in.Read("procMount", proc_mount);
  if (!proc_mount.empty() && proc_mount != "Default") {
    not_understood.push_back(in.Path() + ".procMount");
  }
  return security;
}

void NoteOthers(const FieldReader& in, std::vector<std::string>& not_understood) {
  for (const char* key : {"lifecycle", "volumeDevices", "restartPolicyRules"}) {
    const nlohmann::json* value = in.Find(key);
    if (value != nullptr && !value->empty()) {
      not_understood.push_back(fmt::format("{}.{}", in.Path(), key));
    }
  }
  const FieldReader resources = in.Object("resources");
  const nlohmann::json* claims = resources.Find("claims");
  if (claims != nullptr && !claims->empty()) {
    not_understood.push_back(resources.Path() + ".claims");
  }
}

void ParseBasics(const FieldReader& in, Container& container) {
  in.Read("name", container.name);
  in.Read("image", container.image);
  in.Read("imagePullPolicy", container.image_pull_policy);
  in.Read("command", container.command);
  in.Read("args", container.args);
  in.Read("workingDir", container.working_dir);
  in.Read("restartPolicy", container.restart_policy);
  in.Read("terminationMessagePath", container.termination_message_path);
  in.Read("terminationMessagePolicy", container.termination_message_policy);
  in.Read("stdin", container.stdin_open);
  in.Read("stdinOnce", container.stdin_once);
  in.Read("tty", container.tty);
  if (container.image_pull_policy != "Always" && container.image_pull_policy != "IfNotPresent" &&
      container.image_pull_policy != "Never") {
    in.Fail("imagePullPolicy", fmt::format("\"{}\" is not one of Always, IfNotPresent, Never",
                                           container.image_pull_policy.substr(0, 64)));
  }
}

}  // namespace

FieldSelector ParseFieldSelector(const FieldReader& in) {
  FieldSelector selector;
  in.Read("apiVersion", selector.api_version);
  in.Read("fieldPath", selector.field_path);
  return selector;
}

ResourceFieldSelector ParseResourceFieldSelector(const FieldReader& in) {
  ResourceFieldSelector selector;
  in.Read("containerName", selector.container_name);
  in.Read("resource", selector.resource);
  in.Read("divisor", selector.divisor);
  return selector;
}

std::optional<SecurityProfile> ParseSecurityProfile(const FieldReader& in) {
  if (!in.present()) {
    return std::nullopt;
  }
  SecurityProfile profile;
  in.Read("type", profile.type);
  in.Read("localhostProfile", profile.localhost_profile);
  if (profile.type != "RuntimeDefault" && profile.type != "Unconfined" &&
      profile.type != "Localhost") {
    in.Fail("type", fmt::format("\"{}\" is not one of RuntimeDefault, Unconfined, Localhost",
                                profile.type.substr(0, 64)));
  }
  return profile;
}

ResourceList ParseResourceList(const FieldReader& in, std::string_view key) {
  ResourceList list;
  in.Read(key, list);
  for (const auto& [name, quantity] : list) {
    if (quantity < Quantity()) {
      in.Fail(fmt::format("{}[{}]", key, name), "must not be negative");
    }
  }
  return list;
}

Container ParseContainer(const FieldReader& in, std::vector<std::string>& not_understood) {
  Container container;
  ParseBasics(in, container);
  in.List("ports", [&](const FieldReader& item) { container.ports.push_back(ParsePort(item)); });
  in.List("envFrom",
          [&](const FieldReader& item) { container.env_from.push_back(ParseEnvFrom(item)); });
  in.List("env", [&](const FieldReader& item) {
    container.env.push_back(ParseEnvVar(item, not_understood));
  });
  const FieldReader resources = in.Object("resources");
  container.resources.requests = ParseResourceList(resources, "requests");
  container.resources.limits = ParseResourceList(resources, "limits");
  in.List("volumeMounts", [&](const FieldReader& item) {
    container.volume_mounts.push_back(ParseVolumeMount(item, not_understood));
  });
  container.liveness_probe = ParseProbe(in.Object("livenessProbe"));
  container.readiness_probe = ParseProbe(in.Object("readinessProbe"));
  container.startup_probe = ParseProbe(in.Object("startupProbe"));
  container.security = ParseSecurity(in.Object("securityContext"), not_understood);
  NoteOthers(in, not_understood);
  return container;
}

}  // namespace farlet::kube
