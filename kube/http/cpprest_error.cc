#include "kube/http/cpprest_error.h"

#include <openssl/err.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace farlet::kube::http {
namespace {

// http_client_asio.cpp, report_error(): the sentences and what they mean to a reader.
struct Step {
  std::string_view sentence;
  std::string_view meaning;
  bool may_be_stale;
};

constexpr std::string_view kHandshake = "Error in SSL handshake";
constexpr std::string_view kConnect = "Failed to connect to any resolved endpoint";

constexpr std::array kSteps = {
    Step{"Error resolving address", "resolve host name", false},
    Step{"Failed to resolve address", "resolve host name", false},
    Step{kConnect, "connect", false},
    Step{kHandshake, "tls handshake", false},
    Step{"Failed to write request headers", "send request", true},
    Step{"Failed to write request body", "send request body", true},
    Step{"Failed to read HTTP status line", "wait for the answer", true},
    Step{"Invalid HTTP status line", "malformed answer", false},
    Step{"Retrieving message chunk header", "read answer", false},
    Step{"Invalid chunked response header", "malformed chunk in answer", false},
    Step{"Failed to read chunked response part", "read answer", false},
    Step{"Failed to read response body", "read answer", false},
};

const Step* FindStep(std::string_view sentence) {
  for (const Step& step : kSteps) {
    if (sentence.substr(0, step.sentence.size()) == step.sentence) {
      return &step;
    }
  }
  return nullptr;
}

bool IsOpenSslCode(int value) {
  return ERR_GET_LIB(static_cast<unsigned long>(static_cast<unsigned>(value))) == ERR_LIB_SSL;
}

std::string Describe(const CpprestFailure& failure) {
  if (IsOpenSslCode(failure.value)) {
    const char* reason = ERR_reason_error_string(static_cast<unsigned>(failure.value));
    return reason == nullptr ? "tls error" : reason;
  }
  if (failure.step == kConnect && failure.value == EHOSTUNREACH) {
    return "connection refused or host unreachable";
  }
  // boost::asio::error::eof and ssl::error::stream_truncated are 2 and 1, or mapped to this.
  if (failure.value <= 2 || failure.value == ECONNABORTED) {
    return "connection closed by the server";
  }
  return std::generic_category().message(failure.value);
}

}  // namespace

Error MapCpprestFailure(const CpprestFailure& failure) {
  const Step* step = FindStep(failure.step);
  const std::string meaning(step == nullptr ? failure.step : step->meaning);
  if (step != nullptr && step->meaning == "resolve host name") {
    return Unavailable(meaning + ": not found");
  }
  if (step != nullptr && step->sentence == kHandshake && !failure.verify_error.empty()) {
    return MakeError(Code::kUnauthenticated,
                     "tls: server certificate: " + std::string(failure.verify_error));
  }
  // Our certificate being refused shows after the handshake in TLS 1.3.
  const Code code = IsOpenSslCode(failure.value) ? Code::kUnauthenticated : Code::kUnavailable;
  return MakeError(code, meaning + ": " + Describe(failure));
}

bool MayBeStaleConnection(const CpprestFailure& failure) {
  const Step* step = FindStep(failure.step);
  return step != nullptr && step->may_be_stale && !IsOpenSslCode(failure.value);
}

}  // namespace farlet::kube::http
