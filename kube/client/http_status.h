#pragma once

#include "runtime/base/error.h"

#include <nlohmann/json_fwd.hpp>

#include <string_view>

// How answers of the API server become errors.
namespace farlet::kube {

// An answer that is not 2xx: `body` is a metav1.Status in JSON, or whatever a proxy in between
// says. `what` names the request ("GET /api/v1/nodes"). retryable: 429, 500, 502, 503, 504.
Error ErrorFromAnswer(std::string_view what, int http_status, std::string_view body);

// The object of a watch's ERROR event.
Error ErrorFromStatus(std::string_view what, const nlohmann::json& status);

}  // namespace farlet::kube
