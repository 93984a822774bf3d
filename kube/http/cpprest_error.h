#pragma once

#include "runtime/base/error.h"

#include <string>
#include <string_view>

namespace farlet::kube::http {

// What cpprestsdk reports when a request fails: a sentence that says in which step, and a number
// whose category (errno, resolver, OpenSSL) it has dropped.
struct CpprestFailure {
  std::string_view step;  // http_exception::what()
  int value = 0;
  std::string_view verify_error;  // of our certificate check, if that failed just before
};

// "connect: connection refused", "tls handshake: certificate has expired", …
Error MapCpprestFailure(const CpprestFailure& failure);

// Whether a request that failed so may have met a kept connection that the server had closed.
bool MayBeStaleConnection(const CpprestFailure& failure);

}  // namespace farlet::kube::http
