#include "runtime/base/error.h"

#include <cerrno>
#include <system_error>
#include <utility>

namespace farlet {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kCancelled:
      return "cancelled";
    case Code::kUnknown:
      return "unknown";
    case Code::kInvalidArgument:
      return "invalid argument";
    case Code::kDeadlineExceeded:
      return "deadline exceeded";
    case Code::kNotFound:
      return "not found";
    case Code::kAlreadyExists:
      return "already exists";
    case Code::kPermissionDenied:
      return "permission denied";
    case Code::kResourceExhausted:
      return "resource exhausted";
    case Code::kFailedPrecondition:
      return "failed precondition";
    case Code::kAborted:
      return "aborted";
    case Code::kOutOfRange:
      return "out of range";
    case Code::kUnimplemented:
      return "unimplemented";
    case Code::kInternal:
      return "internal";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kDataLoss:
      return "data loss";
    case Code::kUnauthenticated:
      return "unauthenticated";
  }
  return "unknown";
}

Error MakeError(Code code, std::string message) {
  const bool retryable = code == Code::kUnavailable || code == Code::kDeadlineExceeded ||
                         code == Code::kAborted || code == Code::kResourceExhausted;
  return Error{.code = code, .message = std::move(message), .retryable = retryable};
}

Error Wrap(std::string_view what, Error error) {
  error.message = std::string(what) + ": " + error.message;
  return error;
}

Error ErrnoError(int saved_errno, std::string_view what) {
  Code code = Code::kInternal;
  switch (saved_errno) {
    case ENOENT:
    case ESRCH:
      code = Code::kNotFound;
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      break;
    case EACCES:
    case EPERM:
      code = Code::kPermissionDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      code = Code::kResourceExhausted;
      break;
    case EINVAL:
      code = Code::kInvalidArgument;
      break;
    case ETIMEDOUT:
      code = Code::kDeadlineExceeded;
      break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case EADDRINUSE:
    case EAGAIN:
      code = Code::kUnavailable;
      break;
    default:
      break;
  }
  return MakeError(code, std::string(what) + ": " + std::generic_category().message(saved_errno));
}

}  // namespace farlet
