#include "runtime/ttrpc/envelope.h"

#include "proto/ttrpc/ttrpc.pb.h"
#include "runtime/ttrpc/frame.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::ttrpc {
namespace {

TEST(EnvelopeTest, RequestTravelsWhole) {
  const Request sent{.service = "a.B",
                     .method = "C",
                     .payload = std::string("\0\x01\xff", 3),
                     .metadata = {{"k", "1"}, {"k", "2"}, {"", ""}}};
  const auto frame = EncodeRequest(7, sent, std::chrono::nanoseconds(12345), 1000);
  ASSERT_TRUE(frame);
  const auto got = DecodeRequest(std::string_view(*frame).substr(kHeaderBytes));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->service, "a.B");
  EXPECT_EQ(got->method, "C");
  EXPECT_EQ(got->payload, sent.payload);
  EXPECT_EQ(got->timeout.count(), 12345);
  EXPECT_EQ(got->metadata, sent.metadata);
  EXPECT_EQ(MetadataValue(*got, "k"), "1");
  EXPECT_EQ(MetadataValue(*got, "none"), "");
}

TEST(EnvelopeTest, TheLimitIsThatOfTheFramesPayload) {
  const Request request{.service = "s", .method = "m", .payload = std::string(100, 'x')};
  const size_t size = EncodeRequest(1, request, {}, 1000)->size() - kHeaderBytes;
  EXPECT_TRUE(EncodeRequest(1, request, {}, size));
  const auto refused = EncodeRequest(1, request, {}, size - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
}

TEST(EnvelopeTest, AnAnswerTooLargeIsAnError) {
  const std::string frame = EncodeReply(1, std::string(5000, 'x'), 4999);
  const auto reply = DecodeReply(std::string_view(frame).substr(kHeaderBytes));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kResourceExhausted);
}

TEST(EnvelopeTest, RefusesManyTinyPairs) {
  const auto with_pairs = [](int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      bytes += std::string("\x2a\x00", 2);
    }
    return DecodeRequest(bytes);
  };
  EXPECT_TRUE(with_pairs(128));
  const auto refused = with_pairs(129);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
}

TEST(EnvelopeTest, WhatIsNoMessageIsAnError) {
  const std::string garbage = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
  EXPECT_EQ(DecodeRequest(garbage).error().code, Code::kInvalidArgument);
  EXPECT_EQ(DecodeReply(garbage).error().code, Code::kInternal);
}

TEST(EnvelopeTest, CodesOutOfRangeAreUnknown) {
  for (const int code : {-1, 17, 1 << 30}) {
    wire::Response response;
    response.mutable_status()->set_code(code);
    response.mutable_status()->set_message("why");
    const auto reply = DecodeReply(response.SerializeAsString());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Code::kUnknown) << code;
    EXPECT_EQ(reply.error().message, "why");
  }
}

TEST(EnvelopeTest, MessagesAreUtf8AndShort) {
  struct Case {
    std::string text;
    std::string clean;
  };

  for (const Case& test :
       {Case{"plain", "plain"}, Case{"", ""}, Case{"gr\xc3\xbc\xc3\x9f", "grüß"},
        Case{"\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3"}, Case{"a\xff z", "a? z"}, Case{"\xc3", "?"},
        Case{"\xc0\xaf", "??"}, Case{"\xe0\x80\xaf", "???"}, Case{"\xed\xa0\x80", "???"},
        Case{"\xf4\x90\x80\x80", "????"}, Case{"\xe2\x82", "??"}, Case{"\xf8", "?"}}) {
    EXPECT_EQ(CleanMessage(test.text), test.clean);
  }
  EXPECT_EQ(CleanMessage(std::string(5000, 'x')), std::string(4096, 'x'));
  EXPECT_EQ(CleanMessage(std::string(4095, 'x') + "\xc3\xbc").size(), 4095U);
}

}  // namespace
}  // namespace farlet::ttrpc
