#include "provider/server/upstream_request.h"

#include <fmt/format.h>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace farlet::server {
namespace {

constexpr size_t kMaxUrl = 8192;
constexpr std::string_view kScheme = "http://";
constexpr uint32_t kLoopbackNet = 127;
// Forwarded besides those that negotiate the stream.
constexpr std::array<std::string_view, 2> kPassedHeaders{"origin", "user-agent"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
  });
  return lower;
}

bool IsLoopback(const std::string& address) {
  in_addr v4{};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    return ntohl(v4.s_addr) >> 24 == kLoopbackNet;
  }
  in6_addr v6{};
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 &&
         std::memcmp(&v6, &in6addr_loopback, sizeof v6) == 0;
}

bool IsAddress(const std::string& address) {
  std::array<char, sizeof(in6_addr)> buffer{};
  return inet_pton(AF_INET, address.c_str(), buffer.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), buffer.data()) == 1;
}

// "127.0.0.1:80" or "[::1]:80".
bool SplitAuthority(std::string_view authority, StreamingUrl& url) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) {
    return false;
  }
  std::string_view host = authority.substr(0, colon);
  const std::string_view port = authority.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  url.host = authority;
  url.address = host == "localhost" ? "127.0.0.1" : host;
  return error == std::errc() && end == port.data() + port.size() && url.port != 0;
}

bool IsVisible(char letter) {
  return letter > ' ' && letter < '\x7f';
}

bool IsForwarded(const std::string& lower_name) {
  return lower_name.starts_with("x-stream-") || lower_name.starts_with("sec-websocket-") ||
         std::find(kPassedHeaders.begin(), kPassedHeaders.end(), lower_name) !=
             kPassedHeaders.end();
}

}  // namespace

Result<StreamingUrl> ParseStreamingUrl(std::string_view url, std::string_view allowed_host) {
  const auto malformed = [](std::string_view why) {
    return Internal(fmt::format("the runtime's streaming URL {}", why));
  };
  if (url.size() > kMaxUrl || !std::all_of(url.begin(), url.end(), IsVisible)) {
    return malformed("is too long or not printable");
  }
  if (!url.starts_with(kScheme)) {
    return malformed("is not an http URL");
  }
  url.remove_prefix(kScheme.size());
  const size_t path = std::min(url.find_first_of("/?#"), url.size());
  StreamingUrl parsed;
  if (!SplitAuthority(url.substr(0, path), parsed) || !IsAddress(parsed.address)) {
    return malformed("has no IP address and port");
  }
  if (!IsLoopback(parsed.address) && parsed.address != allowed_host) {
    return malformed(fmt::format("points to {}, which is not allowed", parsed.address));
  }
  url.remove_prefix(path);
  parsed.target = url.substr(0, url.find('#'));
  if (!parsed.target.starts_with('/')) {
    parsed.target.insert(0, "/");
  }
  return parsed;
}

std::string BuildUpgradeRequest(std::string_view method,
                                const StreamingUrl& url,
                                const HeaderList& headers) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n", method,
                                 url.target, url.host);
  for (const auto& [name, value] : headers) {
    const std::string lower = Lower(name);
    if (lower == "upgrade" || IsForwarded(lower)) {
      head += fmt::format("{}: {}\r\n", name, value);
    }
  }
  if (method != "GET") {
    head += "Content-Length: 0\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace farlet::server
