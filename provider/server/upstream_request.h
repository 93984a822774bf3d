#pragma once

#include "runtime/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::server {

// Where a session of CRI's streaming server is.
struct StreamingUrl {
  std::string address;  // an IP address
  uint16_t port = 0;
  std::string host;    // for the Host header
  std::string target;  // path and query
};

// Takes "http://ADDRESS:PORT/PATH" with a loopback address, "localhost", or `allowed_host`. Error:
// kInternal: the runtime answered with something that must not be dialled.
Result<StreamingUrl> ParseStreamingUrl(std::string_view url, std::string_view allowed_host);

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// The head of the upgrade request for the streaming server: of the client's headers only those that
// negotiate the session are passed on, above all no credentials.
std::string BuildUpgradeRequest(std::string_view method,
                                const StreamingUrl& url,
                                const HeaderList& headers);

}  // namespace farlet::server
