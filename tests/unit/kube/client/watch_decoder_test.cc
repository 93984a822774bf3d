#include "kube/client/watch_decoder.h"

#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

const std::string kStream = R"({"type":"ADDED","object":{"metadata":{"name":"a\nb"}}})"
                            "\n\n"
                            R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}})"
                            "\r\n";

std::vector<std::string> Types(std::string_view text, size_t piece, Status* end) {
  WatchDecoder decoder;
  std::vector<std::string> types;
  for (size_t at = 0; at < text.size(); at += piece) {
    *end = decoder.Feed(text.substr(at, piece), "WATCH /x", [&](Json event) {
      types.push_back(event["type"]);
      return true;
    });
    if (!*end) {
      break;
    }
  }
  return types;
}

TEST(WatchDecoderTest, PiecesOfEverySize) {
  for (size_t piece = 1; piece <= kStream.size(); ++piece) {
    Status end;
    EXPECT_EQ(Types(kStream, piece, &end), (std::vector<std::string>{"ADDED", "BOOKMARK"}));
    EXPECT_TRUE(end);
  }
}

TEST(WatchDecoderTest, WhatIsNoEvent) {
  for (const char* line :
       {"{\n", "[]\n", "7\n", "{\"type\":\"ADDED\"}\n", "{\"type\":1,\"object\":{}}\n",
        "{\"object\":{}}\n", "{\"type\":\"ADDED\",\"object\":3}\n", "\xff\xfe\n"}) {
    Status end;
    EXPECT_TRUE(Types(line, 100, &end).empty());
    ASSERT_FALSE(end) << line;
    EXPECT_EQ(end.error().code, Code::kInternal);
    EXPECT_EQ(end.error().message, "WATCH /x: the server sent a line that is no watch event");
  }
}

TEST(WatchDecoderTest, ErrorEventEndsIt) {
  Status end;
  Types(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}})"
      "\n",
      1000, &end);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kOutOfRange);
  EXPECT_EQ(end.error().message, "WATCH /x: old");
}

TEST(WatchDecoderTest, LongEventsAreRefused) {
  const auto ignore = [](const Json&) { return true; };
  const std::string event = R"({"type":"ADDED","object":{}})";
  WatchDecoder just(event.size());
  EXPECT_TRUE(just.Feed(event + "\n", "WATCH /x", ignore));
  EXPECT_TRUE(just.Feed(event.substr(0, 5), "WATCH /x", ignore));
  EXPECT_TRUE(just.InEvent());
  WatchDecoder over(event.size() - 1);
  const Status end = over.Feed(event, "WATCH /x", ignore);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::kResourceExhausted);
  EXPECT_FALSE(end.error().retryable);
  EXPECT_EQ(end.error().message, "WATCH /x: an event longer than 27 bytes");
}

TEST(WatchDecoderTest, StopsWhenTold) {
  WatchDecoder decoder;
  int events = 0;
  EXPECT_TRUE(decoder.Feed(kStream, "WATCH /x", [&](const Json&) {
    ++events;
    return false;
  }));
  EXPECT_EQ(events, 1);
}

}  // namespace
}  // namespace farlet::kube
