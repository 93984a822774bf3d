#include "provider/server/exchange.h"

namespace farlet::server {

int HttpStatus(const Error& error) {
  if (error.http_status >= 400 && error.http_status <= 599) {
    return error.http_status;
  }
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kFailedPrecondition:
    case Code::kOutOfRange:
      return 400;
    case Code::kUnauthenticated:
      return 401;
    case Code::kPermissionDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnimplemented:
      return 501;
    case Code::kUnavailable:
      return 503;
    case Code::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

Response ErrorResponse(const Error& error) {
  return {.status = HttpStatus(error), .body = error.message};
}

}  // namespace farlet::server
