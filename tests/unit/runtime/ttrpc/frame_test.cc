#include "runtime/ttrpc/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace farlet::ttrpc {
namespace {

std::string Header(uint32_t length, uint32_t stream, uint8_t type, uint8_t flags) {
  std::string header(kHeaderBytes, '\0');
  WriteHeader(header.data(), length, stream, type);
  header[9] = static_cast<char>(flags);
  return header;
}

std::vector<Frame> TakeAll(FrameDecoder& decoder, std::string_view bytes) {
  std::vector<Frame> frames;
  while (true) {
    auto frame = decoder.Take(bytes);
    EXPECT_TRUE(frame);
    if (!frame || !*frame) {
      EXPECT_TRUE(bytes.empty());
      return frames;
    }
    frames.push_back(std::move(**frame));
  }
}

TEST(FrameTest, HeaderIsBigEndian) {
  EXPECT_EQ(Header(0x01020304, 0xa1a2a3a4, 2, 4),
            std::string("\x01\x02\x03\x04\xa1\xa2\xa3\xa4\x02\x04", 10));
}

TEST(FrameTest, CutsHoweverTheBytesCome) {
  const std::string bytes = Header(5, 1, 1, 0) + "hello" + Header(0, 0xfffffffd, 3, 7) +
                            Header(3, 3, 2, 0) + std::string("\0\n\xff", 3);
  for (size_t step = 1; step <= bytes.size(); ++step) {
    FrameDecoder decoder(5);
    std::vector<Frame> frames;
    for (size_t at = 0; at < bytes.size(); at += step) {
      for (Frame& frame : TakeAll(decoder, std::string_view(bytes).substr(at, step))) {
        frames.push_back(std::move(frame));
      }
    }
    ASSERT_EQ(frames.size(), 3U) << step;
    EXPECT_EQ(frames[0].payload, "hello");
    EXPECT_EQ(frames[0].stream, 1U);
    EXPECT_EQ(frames[0].type, 1);
    EXPECT_EQ(frames[1].payload, "");
    EXPECT_EQ(frames[1].stream, 0xfffffffdU);
    EXPECT_EQ(frames[1].flags, 7);
    EXPECT_EQ(frames[2].payload, std::string("\0\n\xff", 3));
    EXPECT_TRUE(decoder.AtBoundary());
  }
}

TEST(FrameTest, SkipsWhatIsTooLongAndGoesOn) {
  const std::string bytes = Header(6, 1, 1, 0) + "toobig" + Header(5, 3, 1, 0) + "fits!";
  for (size_t step = 1; step <= bytes.size(); ++step) {
    FrameDecoder decoder(5);
    std::vector<Frame> frames;
    for (size_t at = 0; at < bytes.size(); at += step) {
      for (Frame& frame : TakeAll(decoder, std::string_view(bytes).substr(at, step))) {
        frames.push_back(std::move(frame));
      }
    }
    ASSERT_EQ(frames.size(), 2U) << step;
    EXPECT_TRUE(frames[0].oversized);
    EXPECT_EQ(frames[0].payload, "");
    EXPECT_EQ(frames[0].stream, 1U);
    EXPECT_FALSE(frames[1].oversized);
    EXPECT_EQ(frames[1].payload, "fits!");
  }
}

TEST(FrameTest, AnAnnouncedLengthCostsNothing) {
  FrameDecoder decoder(4u << 20);
  const std::string header = Header(4u << 20, 1, 1, 0);
  std::string_view input = header;
  const auto frame = decoder.Take(input);
  ASSERT_TRUE(frame);
  EXPECT_FALSE(*frame);
  EXPECT_FALSE(decoder.AtBoundary());
}

TEST(FrameTest, RefusesLengthsThatOnlyGarbageHas) {
  for (const uint32_t length : {(64u << 20) + 1, 0x47455420u /* "GET " */, 0xffffffffu}) {
    FrameDecoder decoder(4u << 20);
    const std::string header = Header(length, 1, 1, 0);
    std::string_view input = header;
    const auto frame = decoder.Take(input);
    ASSERT_FALSE(frame) << length;
    EXPECT_EQ(frame.error().code, Code::kInvalidArgument);
    EXPECT_NE(frame.error().message.find(std::to_string(length)), std::string::npos);
  }
  FrameDecoder decoder(4u << 20);
  const std::string header = Header(64u << 20, 1, 1, 0);
  std::string_view input = header;
  const auto frame = decoder.Take(input);
  ASSERT_TRUE(frame && *frame);
  EXPECT_TRUE((*frame)->oversized);
}

TEST(FrameTest, ResetForgetsAHalfFrame) {
  FrameDecoder decoder(100);
  TakeAll(decoder, Header(50, 1, 1, 0) + "half");
  EXPECT_FALSE(decoder.AtBoundary());
  decoder.Reset();
  EXPECT_TRUE(decoder.AtBoundary());
  const auto frames = TakeAll(decoder, Header(3, 5, 1, 0) + "new");
  ASSERT_EQ(frames.size(), 1U);
  EXPECT_EQ(frames[0].payload, "new");
}

}  // namespace
}  // namespace farlet::ttrpc
