#include "provider/node/addresses.h"

#include "runtime/base/file.h"

#include <fmt/format.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

namespace farlet::node {
namespace {

struct InterfaceAddress {
  std::string interface;
  std::string address;
  bool v4 = true;
};

std::vector<InterfaceAddress> LocalAddresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) {
      continue;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = entry->ifa_addr->sa_family;
    const void* address = nullptr;
    if (family == AF_INET) {
      address = &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr;
    } else if (family == AF_INET6) {
      address = &reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
    }
    if (address != nullptr && ::inet_ntop(family, address, text.data(), text.size()) != nullptr) {
      found.push_back({entry->ifa_name, text.data(), family == AF_INET});
    }
  }
  return found;
}

// The interface of the IPv4 default route with the lowest metric; empty when there is none.
std::string DefaultRouteInterface(const std::filesystem::path& proc) {
  const Result<std::string> table = ReadFile(proc / "net/route");
  if (!table) {
    return {};
  }
  std::istringstream lines(*table);
  std::string best;
  int64_t best_metric = 0;
  std::string line;
  std::getline(lines, line);  // the heading
  while (std::getline(lines, line)) {
    std::istringstream columns(line);
    std::string interface;
    std::string destination;
    std::string gateway;
    std::string flags;
    std::string references;
    std::string use;
    int64_t metric = 0;
    std::string mask;
    columns >> interface >> destination >> gateway >> flags >> references >> use >> metric >> mask;
    if (destination == "00000000" && mask == "00000000" && (best.empty() || metric < best_metric)) {
      best = interface;
      best_metric = metric;
    }
  }
  return best;
}

}  // namespace

Status CheckNodeIp(const std::string& text) {
  const auto refuse = [&](const char* why) {
    return InvalidArgument(fmt::format("node IP \"{}\" {}", text, why));
  };
  in_addr v4{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    const uint32_t address = ntohl(v4.s_addr);
    if (address == 0) {
      return refuse("is the unspecified address");
    }
    if (address >> 24 == 127) {
      return refuse("is a loopback address");
    }
    if (address >> 28 == 14) {
      return refuse("is a multicast address");
    }
    if (address >> 16 == 0xA9FE) {
      return refuse("is a link-local address");
    }
    return {};
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) {
    return refuse("is not an IP address");
  }
  if (IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_MULTICAST(&v6) ||
      IN6_IS_ADDR_LINKLOCAL(&v6)) {
    return refuse("is an unspecified, loopback, multicast or link-local address");
  }
  return {};
}

bool IsLocalIp(const std::string& text) {
  const std::vector<InterfaceAddress> all = LocalAddresses();
  return std::any_of(all.begin(), all.end(),
                     [&](const InterfaceAddress& entry) { return entry.address == text; });
}

Result<std::string> FindNodeIp(const std::filesystem::path& proc) {
  const std::string preferred = DefaultRouteInterface(proc);
  const InterfaceAddress* best = nullptr;
  const std::vector<InterfaceAddress> all = LocalAddresses();
  const auto rank = [&](const InterfaceAddress& entry) {
    return (entry.interface == preferred ? 2 : 0) + (entry.v4 ? 1 : 0);
  };
  for (const InterfaceAddress& entry : all) {
    if (CheckNodeIp(entry.address) && (best == nullptr || rank(entry) > rank(*best))) {
      best = &entry;
    }
  }
  if (best == nullptr) {
    return NotFound("no interface of this host has an address that a node can have; give nodeIP");
  }
  return best->address;
}

Result<std::string> HostName() {
  std::array<char, 256> text{};
  if (::gethostname(text.data(), text.size() - 1) != 0) {
    return ErrnoError(errno, "name of this host");
  }
  std::string name(text.data());
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace farlet::node
