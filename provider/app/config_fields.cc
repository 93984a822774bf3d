#include "provider/app/config_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace farlet::app {
namespace {

using Shape = Field::Shape;

const std::string& Scalar(const RawValue& value) {
  return std::get<std::string>(value);
}

template <class Member>
auto Text(Member NodeConfig::*member) {
  return [member](NodeConfig& config, const RawValue& value) -> Status {
    config.*member = Scalar(value);
    return {};
  };
}

auto OneOf(std::string NodeConfig::*member, std::vector<std::string> choices) {
  return
      [member, choices = std::move(choices)](NodeConfig& config, const RawValue& value) -> Status {
        if (std::find(choices.begin(), choices.end(), Scalar(value)) == choices.end()) {
          return InvalidArgument(fmt::format("\"{}\" is none of {}", Scalar(value),
                                             fmt::join(choices.begin(), choices.end(), ", ")));
        }
        config.*member = Scalar(value);
        return {};
      };
}

auto Number(int64_t NodeConfig::*member, int64_t low, int64_t high) {
  return [=](NodeConfig& config, const RawValue& value) -> Status {
    const std::string& text = Scalar(value);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < low || number > high) {
      return InvalidArgument(
          fmt::format("\"{}\" is not a whole number from {} to {}", text, low, high));
    }
    config.*member = number;
    return {};
  };
}

auto Boolean(bool NodeConfig::*member) {
  return [member](NodeConfig& config, const RawValue& value) -> Status {
    if (Scalar(value) != "true" && Scalar(value) != "false") {
      return InvalidArgument(fmt::format("\"{}\" is neither true nor false", Scalar(value)));
    }
    config.*member = Scalar(value) == "true";
    return {};
  };
}

auto Amount(kube::Quantity NodeConfig::*member) {
  return [member](NodeConfig& config, const RawValue& value) -> Status {
    FARLET_ASSIGN(config.*member, kube::Quantity::Parse(Scalar(value)));
    return {};
  };
}

Status SetCapacity(NodeConfig& config, const RawValue& value) {
  config.capacity.clear();
  for (const auto& [resource, text] : std::get<RawMap>(value)) {
    if (resource != "cpu" && resource != "memory" && resource != "ephemeral-storage") {
      return InvalidArgument(fmt::format(
          "resource \"{}\" cannot be set (only cpu, memory, ephemeral-storage)", resource));
    }
    auto amount = kube::Quantity::Parse(text);
    if (!amount) {
      return Wrap(resource, amount.error());
    }
    config.capacity[resource] = *amount;
  }
  return {};
}

Status SetRates(NodeConfig& config, const RawValue& value) {
  fargate::Rates& rates = config.fargate_rates;
  for (const auto& [name, text] : std::get<RawMap>(value)) {
    int64_t* rate = name == "vcpu"       ? &rates.vcpu
                    : name == "gigabyte" ? &rates.gigabyte
                    : name == "storage"  ? &rates.storage
                                         : nullptr;
    if (rate == nullptr) {
      return InvalidArgument(fmt::format("rate \"{}\" is none of vcpu, gigabyte, storage", name));
    }
    auto parsed = fargate::ParseRate(text);
    if (!parsed) {
      return Wrap(name, parsed.error());
    }
    *rate = *parsed;
  }
  return {};
}

Status SetTaints(NodeConfig& config, const RawValue& value) {
  config.register_with_taints.clear();
  for (const RawMap& raw : std::get<std::vector<RawMap>>(value)) {
    Taint taint;
    for (const auto& [key, text] : raw) {
      if (key == "key") {
        taint.key = text;
      } else if (key == "value") {
        taint.value = text;
      } else if (key == "effect") {
        taint.effect = text;
      } else {
        return InvalidArgument(fmt::format("a taint has no field \"{}\"", key));
      }
    }
    const std::array effects{"NoSchedule", "PreferNoSchedule", "NoExecute"};
    if (taint.key.empty() ||
        std::find(effects.begin(), effects.end(), taint.effect) == effects.end()) {
      return InvalidArgument(fmt::format("taint \"{}\": needs a key and an effect of {}", taint.key,
                                         fmt::join(effects.begin(), effects.end(), ", ")));
    }
    config.register_with_taints.push_back(std::move(taint));
  }
  return {};
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) {
      parts.emplace_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

Result<RawMap> ParseTaint(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) {
    return InvalidArgument(fmt::format("\"{}\" is not KEY[=VALUE]:EFFECT", text));
  }
  const std::string left = text.substr(0, colon);
  const size_t equals = left.find('=');
  return RawMap{{"key", left.substr(0, equals)},
                {"value", equals == std::string::npos ? "" : left.substr(equals + 1)},
                {"effect", text.substr(colon + 1)}};
}

std::vector<Field> IdentityFields() {
  return {
      {"nodeName", "name of the node; default: the host's name", Shape::kScalar,
       Text(&NodeConfig::node_name)},
      {"nodeIP", "address of the node; default: that of the interface with the default route",
       Shape::kScalar, Text(&NodeConfig::node_ip)},
      {"kubeconfig",
       "how to reach the API server, default: in-cluster; with bootstrapKubeconfig: written here",
       Shape::kScalar, Text(&NodeConfig::kubeconfig)},
      {"bootstrapKubeconfig",
       "kubeconfig with which a client certificate is requested (TLS bootstrap)", Shape::kScalar,
       Text(&NodeConfig::bootstrap_kubeconfig)},
      {"providerID", "spec.providerID of the node", Shape::kScalar, Text(&NodeConfig::provider_id)},
      {"profiles",
       "Fargate profiles (eksctl's ClusterConfig or FargateProfile objects) by which pods are "
       "checked once more; followed; empty: the cluster's FargateProfiles, if the node may read "
       "them",
       Shape::kScalar, Text(&NodeConfig::profiles)},
      {"fargatePrefix", "prefix of AWS's labels, taints and annotations", Shape::kScalar,
       Text(&NodeConfig::fargate_prefix)},
      {"fargateRates",
       "price of one vCPU, gigabyte and storage gigabyte (above 20) for an hour, in any currency",
       Shape::kMap, SetRates},
      {"nodeLabels", "labels of the node", Shape::kMap,
       [](NodeConfig& config, const RawValue& value) -> Status {
         config.node_labels = std::get<RawMap>(value);
         return {};
       }},
      {"registerWithTaints", "taints set when the node is created", Shape::kListOfMaps, SetTaints},
      {"capacity", "cpu, memory, ephemeral-storage instead of the host's", Shape::kMap,
       SetCapacity},
      {"maxPods", "pods that fit on the node", Shape::kScalar,
       Number(&NodeConfig::max_pods, 1, 10000)},
  };
}

std::vector<Field> PathFields() {
  return {
      {"rootDir", "volumes and state of pods", Shape::kScalar, Text(&NodeConfig::root_dir)},
      {"certDir", "certificates of the node; default: ROOTDIR/pki", Shape::kScalar,
       Text(&NodeConfig::cert_dir)},
      {"podLogsDir", "container logs", Shape::kScalar, Text(&NodeConfig::pod_logs_dir)},
      {"cniConfDir",
       "where the CNI configuration is written from the node's podCIDR; empty: nowhere",
       Shape::kScalar, Text(&NodeConfig::cni_conf_dir)},
      {"resolvConf", "resolver configuration of pods with dnsPolicy Default", Shape::kScalar,
       Text(&NodeConfig::resolv_conf)},
  };
}

std::vector<Field> RuntimeFields() {
  return {
      {"containerRuntimeEndpoint", "containerd's socket", Shape::kScalar,
       Text(&NodeConfig::container_runtime_endpoint)},
      {"runtimeHandler", "containerd runtime that runs pods; empty: its default", Shape::kScalar,
       Text(&NodeConfig::runtime_handler)},
      {"cgroupRoot", "cgroup below which kubepods stands", Shape::kScalar,
       Text(&NodeConfig::cgroup_root)},
      {"cgroupDriver", "cgroupfs or systemd, as containerd is configured", Shape::kScalar,
       OneOf(&NodeConfig::cgroup_driver, {"cgroupfs", "systemd"})},
      {"clusterDNS", "name servers of pods", Shape::kList,
       [](NodeConfig& config, const RawValue& value) -> Status {
         config.cluster_dns = std::get<std::vector<std::string>>(value);
         return {};
       }},
      {"clusterDomain", "domain of the cluster", Shape::kScalar, Text(&NodeConfig::cluster_domain)},
      {"maxParallelImagePulls", "image pulls at once", Shape::kScalar,
       Number(&NodeConfig::max_parallel_image_pulls, 1, 1000)},
      {"containerLogMaxSize", "size at which a container's log is rotated", Shape::kScalar,
       Amount(&NodeConfig::container_log_max_size)},
      {"containerLogMaxFiles", "log files kept for a container", Shape::kScalar,
       Number(&NodeConfig::container_log_max_files, 2, 1000)},
  };
}

std::vector<Field> ServerFields() {
  return {
      {"address", "address of the kubelet API", Shape::kScalar, Text(&NodeConfig::address)},
      {"port", "port of the kubelet API", Shape::kScalar, Number(&NodeConfig::port, 1, 65535)},
      {"healthzPort", "port of /healthz on 127.0.0.1; 0: none", Shape::kScalar,
       Number(&NodeConfig::healthz_port, 0, 65535)},
      {"clientCAFile", "CA of the client certificates that the kubelet API accepts", Shape::kScalar,
       Text(&NodeConfig::client_ca_file)},
      {"serverTLSBootstrap", "request the serving certificate from the cluster", Shape::kScalar,
       Boolean(&NodeConfig::server_tls_bootstrap)},
      {"tlsCertFile", "serving certificate, instead of a requested one", Shape::kScalar,
       Text(&NodeConfig::tls_cert_file)},
      {"tlsPrivateKeyFile", "its key", Shape::kScalar, Text(&NodeConfig::tls_private_key_file)},
      {"kubeAPIQPS", "API requests per second", Shape::kScalar,
       Number(&NodeConfig::kube_api_qps, 1, 100000)},
      {"kubeAPIBurst", "API requests in a burst", Shape::kScalar,
       Number(&NodeConfig::kube_api_burst, 1, 100000)},
      {"eventRecordQPS", "events per second", Shape::kScalar,
       Number(&NodeConfig::event_qps, 1, 100000)},
      {"eventBurst", "events in a burst", Shape::kScalar,
       Number(&NodeConfig::event_burst, 1, 100000)},
      {"logLevel", "debug, info, warning or error", Shape::kScalar,
       OneOf(&NodeConfig::log_level, {"debug", "info", "warning", "error"})},
  };
}

}  // namespace

const std::vector<Field>& Fields() {
  static const std::vector<Field> fields = [] {
    std::vector<Field> all;
    for (const auto& group : {IdentityFields(), PathFields(), RuntimeFields(), ServerFields()}) {
      all.insert(all.end(), group.begin(), group.end());
    }
    return all;
  }();
  return fields;
}

std::string FlagName(std::string_view key) {
  if (key == "kubeAPIQPS") {
    return "kube-api-qps";  // two acronyms in a row: the rule below cannot part them
  }
  std::string flag;
  for (size_t i = 0; i < key.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(key[i])) != 0;
    const bool word_before = i > 0 && std::islower(static_cast<unsigned char>(key[i - 1])) != 0;
    const bool word_after =
        i > 0 && i + 1 < key.size() && std::islower(static_cast<unsigned char>(key[i + 1])) != 0;
    if (upper && (word_before || word_after)) {
      flag += '-';
    }
    flag += static_cast<char>(std::tolower(static_cast<unsigned char>(key[i])));
  }
  return flag;
}

Result<RawValue> ParseFlagText(const Field& field, std::string_view text) {
  if (field.shape == Shape::kScalar) {
    return RawValue(std::string(text));
  }
  const std::vector<std::string> parts = Split(text, ',');
  if (field.shape == Shape::kList) {
    return RawValue(parts);
  }
  if (field.shape == Shape::kListOfMaps) {
    std::vector<RawMap> taints;
    for (const std::string& part : parts) {
      FARLET_ASSIGN(RawMap taint, ParseTaint(part));
      taints.push_back(std::move(taint));
    }
    return RawValue(std::move(taints));
  }
  RawMap map;
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return InvalidArgument(fmt::format("\"{}\" is not KEY=VALUE", part));
    }
    map[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return RawValue(std::move(map));
}

}  // namespace farlet::app
