#include "provider/pod/etc_hosts.h"

#include "runtime/base/fd.h"
#include "runtime/base/file.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace farlet::pod {
namespace {

constexpr char kHeader[] =
    "# Kubernetes-managed hosts file.\n"
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n";
constexpr char kHostNetworkHeader[] = "# Kubernetes-managed hosts file (host network).\n";
constexpr size_t kMaxHostFile = 4U << 20U;

std::string AliasLines(const std::vector<kube::HostAlias>& aliases) {
  std::string lines = aliases.empty() ? "" : "\n# Entries added by HostAliases.\n";
  for (const kube::HostAlias& alias : aliases) {
    lines += fmt::format("{}\t{}\n", alias.ip, fmt::join(alias.hostnames, "\t"));
  }
  return lines;
}

// In place: containers have the file itself mounted.
Status Overwrite(const std::filesystem::path& path, std::string_view content) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));

  struct stat info {};

  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    return ErrnoError(errno, "open " + path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return Internal("write " + path.string() + ": is not a regular file");
  }
  if (::ftruncate(fd.get(), 0) != 0 || ::fchmod(fd.get(), 0644) != 0) {
    return ErrnoError(errno, "empty " + path.string());
  }
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count < 0 && errno != EINTR) {
      return ErrnoError(errno, "write " + path.string());
    }
    content.remove_prefix(count > 0 ? static_cast<size_t>(count) : 0);
  }
  return {};
}

}  // namespace

std::string HostsFile(const std::vector<std::string>& pod_ips,
                      const PodHostname& host,
                      const std::vector<kube::HostAlias>& aliases) {
  std::string content = kHeader;
  for (const std::string& ip : pod_ips) {
    content += host.domain.empty()
                   ? fmt::format("{}\t{}\n", ip, host.name)
                   : fmt::format("{}\t{}.{}\t{}\n", ip, host.name, host.domain, host.name);
  }
  return content + AliasLines(aliases);
}

std::string HostNetworkHostsFile(std::string_view host_file,
                                 const std::vector<kube::HostAlias>& aliases) {
  return kHostNetworkHeader + std::string(host_file) + AliasLines(aliases);
}

Result<std::filesystem::path> WriteHostsFile(const NodeContext& node, const EnvContext& context) {
  const kube::PodSpec& spec = context.pod.spec;
  std::string content;
  if (spec.host_network) {
    FARLET_ASSIGN(const std::string host_file, ReadFile("/etc/hosts", kMaxHostFile));
    content = HostNetworkHostsFile(host_file, spec.host_aliases);
  } else {
    FARLET_ASSIGN(const PodHostname host, MakePodHostname(context.pod, node));
    content = HostsFile(context.pod_ips, host, spec.host_aliases);
  }
  const std::filesystem::path path = PodDirectory(node, context.pod.meta.uid) / "etc-hosts";
  FARLET_TRY(Overwrite(path, content));
  return path;
}

}  // namespace farlet::pod
