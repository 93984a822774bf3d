#pragma once

#include "runtime/base/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::server {

// The decoded query, in the order of the request; a name may repeat.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;

// What a route looks at.
struct Request {
  std::string method;
  // Decoded, one leading slash each; never ".", "..", and no slash or NUL inside. A trailing slash
  // is dropped: "/pods/" is {"pods"}.
  std::vector<std::string> segments;
  // "/" and the segments: what authorization looks at.
  std::string path;
  QueryParameters query;
  // Connection: Upgrade was asked for.
  bool upgrade = false;
  // The Upgrade header in lower case: "spdy/3.1", "websocket".
  std::string upgrade_protocol;
  std::string body;

  // The first value of a parameter, or null.
  const std::string* Find(std::string_view name) const;
  // "1" is true for the streaming flags of the kubelet; everything else is false.
  bool Flag(std::string_view name) const;
};

// Decodes an origin-form target ("/a/b?c=d") into path and query of `request`. Error:
// kInvalidArgument naming the malformed parameter or path.
Status ParseTarget(std::string_view target, Request& request);

// %XX decoding, and "+" as a space where `plus_is_space`; nothing when malformed.
std::optional<std::string> PercentDecode(std::string_view text, bool plus_is_space);

}  // namespace farlet::server
