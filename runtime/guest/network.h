#pragma once

#include "runtime/base/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace farlet::guest {

namespace v1 {
class PodStatsResponse;
class PrepareRequest;
}  // namespace v1

Status SetUpLoopback();

// Brings up what the request names: links, addresses, routes, neighbors. Errors name
// the item; what was set before stays.
Status SetUpNetwork(const v1::PrepareRequest& request);

// Takes down the links that the request names, and their addresses, routes and neighbors.
Status TakeDownNetwork(const v1::PrepareRequest& request);

// The counters of /proc/net/dev, without loopback.
void ParseInterfaceStats(std::string_view text, v1::PodStatsResponse* stats);

struct IpAddress {
  // AF_INET or AF_INET6.
  int family = 0;
  // 4 or 16 bytes of `bytes` count.
  uint8_t size = 0;
  std::array<uint8_t, 16> bytes{};
};

struct IpPrefix {
  IpAddress address;
  uint8_t length = 0;
};

// Errors: kInvalidArgument naming the text.
Result<IpAddress> ParseAddress(const std::string& text);
// "address/length"; without a length that of one address.
Result<IpPrefix> ParsePrefix(const std::string& text);
Result<std::array<uint8_t, 6>> ParseMac(const std::string& text);

}  // namespace farlet::guest
