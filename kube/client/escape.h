#pragma once

#include "kube/client/client.h"

#include <string>
#include <string_view>

namespace farlet::kube {

// Percent-encodes all but RFC 3986's unreserved characters.
std::string Escape(std::string_view text);

// The path with the escaped query.
std::string Target(std::string_view path, const Query& query);

}  // namespace farlet::kube
