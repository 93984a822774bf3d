#include "runtime/cri/error_map.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace farlet::cri {
namespace {

constexpr auto kFirst = static_cast<int>(Code::kCancelled);
constexpr auto kLast = static_cast<int>(Code::kUnauthenticated);

Code ToCode(grpc::StatusCode code) {
  // The numbers are the same by definition of Code; anything else is a broken peer.
  const auto number = static_cast<int>(code);
  return number >= kFirst && number <= kLast ? static_cast<Code>(number) : Code::kUnknown;
}

}  // namespace

Error FromGrpcStatus(const grpc::Status& status, std::string_view call, std::string_view endpoint) {
  const Code code = ToCode(status.error_code());
  std::string message = status.error_message();
  switch (code) {
    case Code::kUnavailable:
      message = fmt::format("container runtime at {} is unreachable: {}", endpoint, message);
      break;
    case Code::kDeadlineExceeded:
      // gRPC's own text is just "Deadline Exceeded"; the runtime's says what took so long.
      if (message == "Deadline Exceeded") {
        message = fmt::format("{} got no answer in time", call);
      }
      break;
    default:
      if (message.empty()) {
        message = fmt::format("{} failed: {}", call, CodeName(code));
      }
      break;
  }
  Error error = MakeError(code, std::move(message));
  error.retryable = error.retryable || code == Code::kUnknown;
  return error;
}

}  // namespace farlet::cri
