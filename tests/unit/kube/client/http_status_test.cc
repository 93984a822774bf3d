#include "kube/client/http_status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::kube {
namespace {

struct Case {
  int http;
  const char* reason;
  Code code;
  bool retryable;
};

TEST(HttpStatusTest, Table) {
  for (const Case& c : {Case{400, "BadRequest", Code::kInvalidArgument, false},
                        Case{401, "Unauthorized", Code::kUnauthenticated, false},
                        Case{403, "Forbidden", Code::kPermissionDenied, false},
                        Case{404, "NotFound", Code::kNotFound, false},
                        Case{405, "MethodNotAllowed", Code::kUnimplemented, false},
                        Case{406, "NotAcceptable", Code::kUnimplemented, false},
                        Case{409, "AlreadyExists", Code::kAlreadyExists, false},
                        Case{409, "Conflict", Code::kAborted, false},
                        Case{410, "Expired", Code::kOutOfRange, false},
                        Case{410, "Gone", Code::kOutOfRange, false},
                        Case{412, "", Code::kFailedPrecondition, false},
                        Case{413, "RequestEntityTooLarge", Code::kResourceExhausted, false},
                        Case{415, "UnsupportedMediaType", Code::kUnimplemented, false},
                        Case{422, "Invalid", Code::kInvalidArgument, false},
                        Case{429, "TooManyRequests", Code::kResourceExhausted, true},
                        Case{500, "InternalError", Code::kInternal, true},
                        Case{501, "", Code::kUnimplemented, false},
                        Case{502, "", Code::kUnavailable, true},
                        Case{503, "ServiceUnavailable", Code::kUnavailable, true},
                        Case{504, "Timeout", Code::kDeadlineExceeded, true},
                        Case{302, "", Code::kUnknown, false},
                        Case{418, "", Code::kUnknown, false}}) {
    const nlohmann::json status{
        {"kind", "Status"}, {"message", "said the server"}, {"reason", c.reason}, {"code", c.http}};
    const Error error = ErrorFromAnswer("GET /api/v1/nodes", c.http, status.dump());
    EXPECT_EQ(error.code, c.code) << c.http << c.reason;
    EXPECT_EQ(error.retryable, c.retryable) << c.http << c.reason;
    EXPECT_EQ(error.http_status, c.http);
    EXPECT_EQ(error.reason, c.reason);
    EXPECT_EQ(error.message, "GET /api/v1/nodes: said the server");
  }
}

TEST(HttpStatusTest, AnswersThatAreNoStatus) {
  const Error page = ErrorFromAnswer("GET /x", 502, "<html>\nbad gateway\x01</html>");
  EXPECT_EQ(page.message, "GET /x: HTTP 502: <html> bad gateway </html>");
  EXPECT_EQ(ErrorFromAnswer("GET /x", 503, "").message, "GET /x: HTTP 503");
  EXPECT_EQ(ErrorFromAnswer("GET /x", 500, "[1]").message, "GET /x: HTTP 500: [1]");
  EXPECT_EQ(ErrorFromAnswer("GET /x", 500, std::string(5000, 'x')).message.size(), 218u);
  const Error odd =
      ErrorFromAnswer("GET /x", 500, R"({"kind":"Status","message":3,"reason":[],"details":1})");
  EXPECT_EQ(odd.message, "GET /x: HTTP 500");
}

TEST(HttpStatusTest, DetailsSayHowLongToWait) {
  const Error error = ErrorFromAnswer(
      "GET /x", 429, R"({"kind":"Status","message":"slow","details":{"retryAfterSeconds":3}})");
  EXPECT_EQ(error.retry_after, std::chrono::seconds(3));
}

TEST(HttpStatusTest, ErrorEventOfAWatch) {
  const auto status = nlohmann::json::parse(
      R"({"kind":"Status","message":"too old resource version: 1","reason":"Expired","code":410})");
  const Error error = ErrorFromStatus("WATCH /api/v1/pods", status);
  EXPECT_EQ(error.code, Code::kOutOfRange);
  EXPECT_EQ(error.http_status, 410);
  EXPECT_EQ(ErrorFromStatus("WATCH /x", nlohmann::json("odd")).code, Code::kInternal);
}

}  // namespace
}  // namespace farlet::kube
