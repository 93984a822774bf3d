#include "kube/client/http_status.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string>

namespace farlet::kube {
namespace {

using nlohmann::json;

struct ByHttp {
  int status;
  Code code;
};

// k8s.io/apimachinery/pkg/api/errors: what the server means by each.
constexpr std::array kByHttp = {
    ByHttp{400, Code::kInvalidArgument},   ByHttp{401, Code::kUnauthenticated},
    ByHttp{403, Code::kPermissionDenied},  ByHttp{404, Code::kNotFound},
    ByHttp{405, Code::kUnimplemented},     ByHttp{406, Code::kUnimplemented},
    ByHttp{408, Code::kDeadlineExceeded},  ByHttp{409, Code::kAborted},
    ByHttp{410, Code::kOutOfRange},        ByHttp{412, Code::kFailedPrecondition},
    ByHttp{413, Code::kResourceExhausted}, ByHttp{415, Code::kUnimplemented},
    ByHttp{422, Code::kInvalidArgument},   ByHttp{429, Code::kResourceExhausted},
    ByHttp{500, Code::kInternal},          ByHttp{501, Code::kUnimplemented},
    ByHttp{502, Code::kUnavailable},       ByHttp{503, Code::kUnavailable},
    ByHttp{504, Code::kDeadlineExceeded},
};

Code CodeOf(int http_status, std::string_view reason) {
  if (reason == "AlreadyExists") {
    return Code::kAlreadyExists;
  }
  if (reason == "Expired" || reason == "Gone") {
    return Code::kOutOfRange;
  }
  const auto* found = std::find_if(kByHttp.begin(), kByHttp.end(), [http_status](const ByHttp& by) {
    return by.status == http_status;
  });
  if (found != kByHttp.end()) {
    return found->code;
  }
  return http_status >= 500 ? Code::kUnavailable : Code::kUnknown;
}

bool IsRetryable(int http_status) {
  return http_status == 429 || http_status == 500 || http_status == 502 || http_status == 503 ||
         http_status == 504;
}

std::string StringAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// One line of at most 200 printable characters of a body that is no Status.
std::string Excerpt(std::string_view body) {
  std::string line(body.substr(0, 200));
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, ' ');
  return line;
}

Error Make(std::string_view what,
           int http_status,
           const std::string& reason,
           const std::string& message) {
  Error error = MakeError(
      CodeOf(http_status, reason),
      fmt::format("{}: {}", what, message.empty() ? fmt::format("HTTP {}", http_status) : message));
  error.retryable = IsRetryable(http_status);
  error.reason = reason;
  error.http_status = http_status;
  return error;
}

}  // namespace

Error ErrorFromStatus(std::string_view what, const json& status) {
  if (!status.is_object()) {
    return Make(what, 500, {}, "the server reported an error without a Status");
  }
  const auto number = status.find("code");
  const int code = number != status.end() && number->is_number_integer() ? number->get<int>() : 500;
  Error error = Make(what, code, StringAt(status, "reason"), StringAt(status, "message"));
  const auto details = status.find("details");
  if (details != status.end() && details->is_object()) {
    const auto wait = details->find("retryAfterSeconds");
    if (wait != details->end() && wait->is_number_integer() && wait->get<int64_t>() > 0) {
      error.retry_after = std::chrono::seconds(std::min<int64_t>(wait->get<int64_t>(), 3600));
    }
  }
  return error;
}

Error ErrorFromAnswer(std::string_view what, int http_status, std::string_view body) {
  json status = json::parse(body, nullptr, false);
  if (status.is_object() && StringAt(status, "kind") == "Status") {
    status["code"] = http_status;
    return ErrorFromStatus(what, status);
  }
  return Make(
      what, http_status, {},
      body.empty() ? std::string() : fmt::format("HTTP {}: {}", http_status, Excerpt(body)));
}

}  // namespace farlet::kube
