#include "runtime/base/error.h"

#include "runtime/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

namespace farlet {
namespace {

TEST(ErrorTest, KnowsWhatMayWorkLater) {
  for (const Code code :
       {Code::kUnavailable, Code::kDeadlineExceeded, Code::kAborted, Code::kResourceExhausted}) {
    EXPECT_TRUE(MakeError(code, "x").retryable) << CodeName(code);
  }
  for (const Code code :
       {Code::kCancelled, Code::kUnknown, Code::kInvalidArgument, Code::kNotFound,
        Code::kAlreadyExists, Code::kPermissionDenied, Code::kFailedPrecondition, Code::kOutOfRange,
        Code::kUnimplemented, Code::kInternal, Code::kDataLoss, Code::kUnauthenticated}) {
    EXPECT_FALSE(MakeError(code, "x").retryable) << CodeName(code);
  }
}

TEST(ErrorTest, WrapKeepsAllButTheMessage) {
  Error error = Unavailable("no answer");
  error.retry_after = std::chrono::milliseconds(5);
  error.reason = "TooManyRequests";
  error.http_status = 429;
  const Error wrapped = Wrap("list pods", error);
  EXPECT_EQ(wrapped.message, "list pods: no answer");
  EXPECT_EQ(wrapped.code, Code::kUnavailable);
  EXPECT_TRUE(wrapped.retryable);
  EXPECT_EQ(wrapped.retry_after, std::chrono::milliseconds(5));
  EXPECT_EQ(wrapped.reason, "TooManyRequests");
  EXPECT_EQ(wrapped.http_status, 429);
}

TEST(ErrorTest, MapsErrno) {
  EXPECT_EQ(ErrnoError(ENOENT, "open /x").message, "open /x: No such file or directory");
  EXPECT_EQ(ErrnoError(ENOENT, "").code, Code::kNotFound);
  EXPECT_EQ(ErrnoError(EACCES, "").code, Code::kPermissionDenied);
  EXPECT_EQ(ErrnoError(ENOSPC, "").code, Code::kResourceExhausted);
  EXPECT_EQ(ErrnoError(EADDRINUSE, "").code, Code::kUnavailable);
  EXPECT_TRUE(ErrnoError(EADDRINUSE, "").retryable);
  EXPECT_EQ(ErrnoError(EIO, "").code, Code::kInternal);
}

Result<int> Half(int number) {
  if (number % 2 != 0) {
    return InvalidArgument("odd");
  }
  return number / 2;
}

Result<int> Quarter(int number) {
  FARLET_ASSIGN(const int half, Half(number));
  return Annotate(Half(half), "second half");
}

Status Check(int number) {
  FARLET_TRY(Quarter(number));
  return {};
}

TEST(ResultTest, PassesErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(3).error().message, "odd");
  EXPECT_EQ(Quarter(6).error().message, "second half: odd");
  EXPECT_TRUE(Check(4));
  EXPECT_FALSE(Check(5));
}

TEST(ResultTest, CarriesWhatCanOnlyBeMoved) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const auto use = [&]() -> Result<int> {
    FARLET_ASSIGN(const std::unique_ptr<int> value, make());
    return *value;
  };
  EXPECT_EQ(*use(), 7);
}

}  // namespace
}  // namespace farlet
