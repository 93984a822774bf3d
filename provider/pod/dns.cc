#include "provider/pod/dns.h"

#include "runtime/base/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

constexpr size_t kMaxResolvConf = 10 * 1024 * 1024;
constexpr size_t kMaxServers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchLine = 2048;
constexpr size_t kMaxDomain = 253;

std::vector<std::string_view> Fields(std::string_view line) {
  constexpr char kSpaces[] = " \t\r\v\f";
  std::vector<std::string_view> fields;
  while (true) {
    const size_t begin = line.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) {
      return fields;
    }
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(kSpaces), line.size());
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::string_view OptionName(std::string_view option) {
  return option.substr(0, option.find(':'));
}

// Adds the option, in place of one of the same name.
void SetOption(std::vector<std::string>& options, std::string option) {
  const auto same = std::find_if(options.begin(), options.end(), [&](const std::string& other) {
    return OptionName(other) == OptionName(option);
  });
  if (same == options.end()) {
    options.push_back(std::move(option));
  } else {
    *same = std::move(option);
  }
}

void AppendNew(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const std::string& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) {
      list.push_back(item);
    }
  }
}

void Warn(std::vector<PodWarning>& warnings, std::string message) {
  warnings.push_back({.reason = "DNSConfigForming", .message = std::move(message)});
}

void LimitServers(cri::DnsConfig& dns, std::vector<PodWarning>& warnings) {
  if (dns.servers.size() > kMaxServers) {
    dns.servers.resize(kMaxServers);
    Warn(warnings, fmt::format("Nameserver limits were exceeded, some nameservers have been "
                               "omitted, the applied nameserver line is: {}",
                               fmt::join(dns.servers, " ")));
  }
}

void LimitSearches(cri::DnsConfig& dns, std::vector<PodWarning>& warnings) {
  std::vector<std::string> kept;
  size_t length = 0;
  for (size_t i = 0; i < std::min(dns.searches.size(), kMaxSearches); ++i) {
    const std::string& search = dns.searches[i];
    if (search.size() > kMaxDomain) {
      continue;
    }
    const size_t longer = length + search.size() + (kept.empty() ? 0 : 1);
    if (longer > kMaxSearchLine) {
      break;
    }
    length = longer;
    kept.push_back(search);
  }
  if (kept.size() != dns.searches.size()) {
    Warn(warnings, fmt::format("Search Line limits were exceeded, some search paths have been "
                               "omitted, the applied search line is: {}",
                               fmt::join(kept, " ")));
  }
  dns.searches = std::move(kept);
}

enum class Source { kNone, kCluster, kHost };

Source SourceOf(const kube::PodSpec& spec) {
  if (spec.dns_policy == "None") {
    return Source::kNone;
  }
  if (spec.dns_policy == "Default" || (spec.dns_policy == "ClusterFirst" && spec.host_network)) {
    return Source::kHost;
  }
  return Source::kCluster;
}

void UseCluster(const kube::Pod& pod, const NodeContext& node, cri::DnsConfig& dns) {
  dns.servers = node.cluster_dns;
  dns.options = {"ndots:5"};
  if (!node.cluster_domain.empty()) {
    std::vector<std::string> searches{
        fmt::format("{}.svc.{}", pod.meta.object_namespace, node.cluster_domain),
        fmt::format("svc.{}", node.cluster_domain), node.cluster_domain};
    AppendNew(searches, dns.searches);
    dns.searches = std::move(searches);
  }
}

}  // namespace

cri::DnsConfig ParseResolvConf(std::string_view text) {
  cri::DnsConfig dns;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> fields = Fields(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (fields.size() < 2 || fields.front().starts_with('#')) {
      continue;
    }
    if (fields.front() == "nameserver") {
      dns.servers.emplace_back(fields[1]);
    } else if (fields.front() == "search") {
      dns.searches.clear();
      for (size_t i = 1; i < fields.size(); ++i) {
        std::string_view domain = fields[i];
        if (domain != ".") {
          domain.remove_suffix(domain.ends_with('.') ? 1 : 0);
          dns.searches.emplace_back(domain);
        }
      }
    } else if (fields.front() == "options") {
      for (size_t i = 1; i < fields.size(); ++i) {
        SetOption(dns.options, std::string(fields[i]));
      }
    }
  }
  return dns;
}

Result<cri::DnsConfig> MakeDnsConfig(const kube::Pod& pod,
                                     const NodeContext& node,
                                     std::vector<PodWarning>& warnings) {
  cri::DnsConfig dns;
  const Source source = SourceOf(pod.spec);
  if (source != Source::kNone && !node.resolv_conf.empty()) {
    FARLET_ASSIGN(const std::string text, ReadFile(node.resolv_conf, kMaxResolvConf));
    dns = ParseResolvConf(text);
  }
  if (source == Source::kCluster && !node.cluster_dns.empty()) {
    UseCluster(pod, node, dns);
  } else if (source == Source::kCluster) {
    warnings.push_back(
        {.reason = "MissingClusterDNS",
         .message = fmt::format(
             "pod: \"{}\". kubelet does not have ClusterDNS IP configured and cannot create Pod "
             "using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
             pod.Format())});
  }
  const kube::PodDnsConfig& own = pod.spec.dns_config;
  AppendNew(dns.servers, own.nameservers);
  AppendNew(dns.searches, own.searches);
  for (const auto& [name, value] : own.options) {
    SetOption(dns.options, value && !value->empty() ? name + ":" + *value : name);
  }
  LimitServers(dns, warnings);
  LimitSearches(dns, warnings);
  return dns;
}

}  // namespace farlet::pod
