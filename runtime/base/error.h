#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace farlet {

// The canonical gRPC codes: gRPC statuses, HTTP statuses, Kubernetes reasons and errno all map onto
// them. Numbers are gRPC's (google.rpc.Code).
enum class Code {
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,     // also a conflict on resourceVersion
  kOutOfRange = 11,  // also an expired resourceVersion (HTTP 410)
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

std::string_view CodeName(Code code);

// The one error type. `message` is lower case and says what was attempted, on what, and why it
// failed; callers wrap it with Wrap(). It never carries a secret.
struct Error {
  Code code = Code::kUnknown;
  std::string message;
  // Whether the same call may succeed later without anybody changing it.
  bool retryable = false;
  // How long the other side asked us to wait (Retry-After).
  std::optional<std::chrono::milliseconds> retry_after;
  // The API server's Status.reason ("NotFound", "Conflict", …), empty for other sources.
  std::string reason;
  // HTTP status of the answer, 0 when there was none.
  int http_status = 0;
};

// The common constructors: kUnavailable, kDeadlineExceeded, kAborted and kResourceExhausted are
// retryable, everything else is not.
Error MakeError(Code code, std::string message);

inline Error InvalidArgument(std::string message) {
  return MakeError(Code::kInvalidArgument, std::move(message));
}

inline Error NotFound(std::string message) {
  return MakeError(Code::kNotFound, std::move(message));
}

inline Error Internal(std::string message) {
  return MakeError(Code::kInternal, std::move(message));
}

inline Error Unavailable(std::string message) {
  return MakeError(Code::kUnavailable, std::move(message));
}

inline Error Cancelled(std::string message) {
  return MakeError(Code::kCancelled, std::move(message));
}

// "`what`: `error.message`", everything else kept.
Error Wrap(std::string_view what, Error error);

// From errno of a system call: "`what`: No such file or directory".
Error ErrnoError(int saved_errno, std::string_view what);

}  // namespace farlet
