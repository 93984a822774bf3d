#include "runtime/cri/error_map.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::cri {
namespace {

struct Case {
  grpc::StatusCode code;
  std::string text;
  Code expected;
  bool retryable;
  std::string message;
};

class ErrorMapTest : public ::testing::TestWithParam<Case> {};

TEST_P(ErrorMapTest, KeepsCodeAndText) {
  const Case& test = GetParam();
  const Error error =
      FromGrpcStatus(grpc::Status(test.code, test.text), "RunPodSandbox", "unix:///run/c.sock");
  EXPECT_EQ(error.code, test.expected);
  EXPECT_EQ(error.retryable, test.retryable);
  EXPECT_EQ(error.message, test.message);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    ErrorMapTest,
    ::testing::Values(
        Case{grpc::StatusCode::CANCELLED, "CANCELLED", Code::kCancelled, false, "CANCELLED"},
        Case{grpc::StatusCode::UNKNOWN, "cni: not ready", Code::kUnknown, true, "cni: not ready"},
        Case{grpc::StatusCode::UNKNOWN, "", Code::kUnknown, true, "RunPodSandbox failed: unknown"},
        Case{grpc::StatusCode::INVALID_ARGUMENT, "bad", Code::kInvalidArgument, false, "bad"},
        Case{grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded", Code::kDeadlineExceeded,
             true, "RunPodSandbox got no answer in time"},
        Case{grpc::StatusCode::DEADLINE_EXCEEDED, "timeout 1s exceeded", Code::kDeadlineExceeded,
             true, "timeout 1s exceeded"},
        Case{grpc::StatusCode::NOT_FOUND, "no such", Code::kNotFound, false, "no such"},
        Case{grpc::StatusCode::ALREADY_EXISTS, "twice", Code::kAlreadyExists, false, "twice"},
        Case{grpc::StatusCode::PERMISSION_DENIED, "no", Code::kPermissionDenied, false, "no"},
        Case{grpc::StatusCode::RESOURCE_EXHAUSTED, "full", Code::kResourceExhausted, true, "full"},
        Case{grpc::StatusCode::FAILED_PRECONDITION, "not yet", Code::kFailedPrecondition, false,
             "not yet"},
        Case{grpc::StatusCode::ABORTED, "again", Code::kAborted, true, "again"},
        Case{grpc::StatusCode::OUT_OF_RANGE, "far", Code::kOutOfRange, false, "far"},
        Case{grpc::StatusCode::UNIMPLEMENTED, "unknown method", Code::kUnimplemented, false,
             "unknown method"},
        Case{grpc::StatusCode::INTERNAL, "broken", Code::kInternal, false, "broken"},
        Case{grpc::StatusCode::UNAVAILABLE, "connection refused", Code::kUnavailable, true,
             "container runtime at unix:///run/c.sock is unreachable: connection refused"},
        Case{grpc::StatusCode::DATA_LOSS, "lost", Code::kDataLoss, false, "lost"},
        Case{grpc::StatusCode::UNAUTHENTICATED, "who", Code::kUnauthenticated, false, "who"},
        Case{static_cast<grpc::StatusCode>(20), "odd", Code::kUnknown, true, "odd"}));

}  // namespace
}  // namespace farlet::cri
