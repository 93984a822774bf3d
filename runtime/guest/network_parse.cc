#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/network.h"

#include <arpa/inet.h>

#include <charconv>

namespace farlet::guest {
namespace {

uint64_t TakeCount(std::string_view& text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(' ')));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc()) {
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return value;
}

}  // namespace

Result<IpAddress> ParseAddress(const std::string& text) {
  IpAddress address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.family = AF_INET;
    address.size = 4;
    return address;
  }
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) {
    address.family = AF_INET6;
    address.size = 16;
    return address;
  }
  return InvalidArgument("\"" + text.substr(0, 64) + "\" is no IP address");
}

Result<IpPrefix> ParsePrefix(const std::string& text) {
  IpPrefix prefix;
  const size_t slash = text.find('/');
  FARLET_ASSIGN(prefix.address, ParseAddress(text.substr(0, slash)));
  prefix.length = static_cast<uint8_t>(prefix.address.size * 8);
  if (slash == std::string::npos) {
    return prefix;
  }
  unsigned length = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, length);
  if (error != std::errc() || stop != end || length > prefix.length) {
    return InvalidArgument("\"" + text.substr(0, 64) + "\" is no IP prefix");
  }
  prefix.length = static_cast<uint8_t>(length);
  return prefix;
}

Result<std::array<uint8_t, 6>> ParseMac(const std::string& text) {
  std::array<uint8_t, 6> mac{};
  const char* at = text.data();
  const char* end = at + text.size();
  for (size_t index = 0; index < mac.size(); ++index) {
    unsigned value = 0;
    const auto [stop, error] = std::from_chars(at, end, value, 16);
    const bool last = index + 1 == mac.size();
    if (error != std::errc() || stop != at + 2 || (last ? stop != end : stop == end) ||
        (!last && *stop != ':')) {
      return InvalidArgument("\"" + text.substr(0, 64) + "\" is no MAC address");
    }
    mac[index] = static_cast<uint8_t>(value);
    at = last ? stop : stop + 1;
  }
  return mac;
}

// "  eth0: bytes packets errs drop fifo frame compressed multicast" and eight more for what was
// sent.
void ParseInterfaceStats(std::string_view text, v1::PodStatsResponse* stats) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    std::string_view name = line.substr(0, colon);
    name.remove_prefix(std::min(name.size(), name.find_first_not_of(' ')));
    if (name == "lo") {
      continue;
    }
    line.remove_prefix(colon + 1);
    std::array<uint64_t, 16> counts{};
    for (uint64_t& count : counts) {
      count = TakeCount(line);
    }
    v1::InterfaceStats* one = stats->add_interfaces();
    one->set_name(std::string(name));
    one->set_received_bytes(counts[0]);
    one->set_received_packets(counts[1]);
    one->set_received_errors(counts[2]);
    one->set_received_dropped(counts[3]);
    one->set_sent_bytes(counts[8]);
    one->set_sent_packets(counts[9]);
    one->set_sent_errors(counts[10]);
    one->set_sent_dropped(counts[11]);
  }
}

}  // namespace farlet::guest
