#include "provider/server/log_reader.h"

#include "provider/server/log_filter.h"
#include "provider/server/log_line.h"
#include "tests/unit/provider/server/server_fixture.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <chrono>

namespace farlet::server::testing {
namespace {

constexpr std::string_view kStamp = "2026-11-22T09:41:54.59982387Z";

std::string Line(std::string_view text, std::string_view tag = "F") {
  return std::string(kStamp) + " stdout " + std::string(tag) + " " + std::string(text) + "\n";
}

TEST(LogLineTest, ParsesHeaders) {
  struct Case {
    std::string_view text;
    HeaderState state;
    bool partial = false;
    bool is_stderr = false;
    size_t size = 0;
  };

  const std::vector<Case> cases{
      {"2026-11-22T09:41:54.59982387Z stdout F text", HeaderState::kComplete, false, false, 39},
      {"2026-11-22T09:41:54Z stderr P text", HeaderState::kComplete, true, true, 30},
      {"2026-11-22T09:41:54Z stderr P:x:y text", HeaderState::kComplete, true, true, 34},
      {"2026-11-22T09:41:54+02:00 stdout F:P ", HeaderState::kComplete, false, false, 37},
      {"2026-11-22T09:41:54Z stdout F", HeaderState::kNeedMore},
      {"", HeaderState::kNeedMore},
      {"2026-11-22T09:41:54Z stdin F text", HeaderState::kMalformed},
      {"yesterday stdout F text", HeaderState::kMalformed},
      {"{\"log\":\"docker\"} stdout F text", HeaderState::kMalformed},
      {std::string_view("\0\0\0 \0 \0 ", 9), HeaderState::kMalformed},
  };
  for (const Case& c : cases) {
    LogLineHeader line;
    EXPECT_EQ(ParseLogHeader(c.text, line), c.state) << c.text;
    if (c.state == HeaderState::kComplete) {
      EXPECT_EQ(line.partial, c.partial) << c.text;
      EXPECT_EQ(line.is_stderr, c.is_stderr) << c.text;
      EXPECT_EQ(line.size, c.size) << c.text;
    }
  }
  LogLineHeader line;
  EXPECT_EQ(ParseLogHeader(std::string(kMaxLogHeader, 'x'), line), HeaderState::kMalformed);
}

TEST(LogLineTest, WritesFixedTimestamps) {
  for (const auto& [in, out] :
       {std::pair{"2026-11-22T09:41:54Z", "2026-11-22T09:41:54.000000000Z"},
        {"2026-11-22T09:41:54.5Z", "2026-11-22T09:41:54.500000000Z"},
        {"2026-11-22T09:41:54.123456789+02:00", "2026-11-22T09:41:54.123456789+02:00"},
        {"2026-11-22T09:41:54-07:00", "2026-11-22T09:41:54.000000000-07:00"}}) {
    std::string text;
    AppendFixedTimestamp(in, text);
    EXPECT_EQ(text, out);
  }
}

// The same output however the input is cut.
TEST(LogFilterTest, DoesNotDependOnBlocks) {
  const std::string input = Line("one") + Line("tw", "P") + Line("", "P") + Line("o") + "junk\n" +
                            "\n" + Line("") + Line("three") + std::string(300, 'j') + "\n" +
                            Line("end", "P");
  LogOptions options;
  options.timestamps = true;
  std::string whole;
  LogFilter reference(options);
  reference.Feed(input, whole);
  const std::string stamp = "2026-11-22T09:41:54.599823870Z ";
  EXPECT_EQ(whole,
            stamp + "one\n" + stamp + "two\n" + stamp + "\n" + stamp + "three\n" + stamp + "end");
  EXPECT_EQ(reference.malformed(), 3);
  for (size_t step = 1; step < 60; ++step) {
    LogFilter filter(options);
    std::string out;
    for (size_t at = 0; at < input.size(); at += step) {
      filter.Feed(std::string_view(input).substr(at, step), out);
    }
    EXPECT_EQ(out, whole) << step;
    EXPECT_EQ(filter.malformed(), 3) << step;
  }
}

TEST(LogFilterTest, PassesHugeLinesThroughBoundedMemory) {
  LogFilter filter({});
  std::string out;
  filter.Feed(std::string(kStamp) + " stdout F ", out);
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 200; ++i) {
    out.clear();
    filter.Feed(block, out);
    ASSERT_EQ(out.size(), block.size());
  }
  // A malformed line of any length leaves nothing.
  filter.Feed("\n", out);
  out.clear();
  for (int i = 0; i < 200; ++i) {
    filter.Feed(block, out);
  }
  EXPECT_EQ(out, "");
  EXPECT_EQ(filter.malformed(), 1);
}

std::string ReadAll(LogReader& reader, int* steps = nullptr) {
  std::string out;
  while (true) {
    const auto next = reader.Produce(out);
    if (!next || *next == BodySource::Next::kEnd) {
      return out;
    }
    if (steps != nullptr) {
      ++*steps;
    }
  }
}

std::string Read(const std::string& path, LogOptions options) {
  auto reader = LogReader::Open(path, options, nullptr);
  EXPECT_TRUE(reader);
  return reader ? ReadAll(**reader) : std::string();
}

TEST(LogReaderTest, TailsLinesNotPieces) {
  const TempFolder folder;
  const std::string path = folder.Write(
      "0.log", Line("a") + Line("b1", "P") + Line("b2", "P") + Line("b3") + "junk\n" + Line("c"));
  const auto tail = [&](int64_t lines) { return Read(path, {.tail_lines = lines}); };
  EXPECT_EQ(tail(0), "");
  EXPECT_EQ(tail(1), "c\n");
  EXPECT_EQ(tail(2), "b1b2b3\nc\n");
  EXPECT_EQ(tail(3), "a\nb1b2b3\nc\n");
  EXPECT_EQ(tail(4), "a\nb1b2b3\nc\n");
  folder.Append("0.log", Line("d1", "P") + Line("d2", "P"));
  EXPECT_EQ(tail(1), "d1d2");
  EXPECT_EQ(tail(2), "c\nd1d2");
  EXPECT_EQ(tail(0), "");
}

TEST(LogReaderTest, TailsAcrossBlocks) {
  const TempFolder folder;
  std::string content;
  std::vector<std::string> lines;
  for (int i = 0; i < 3000; ++i) {
    lines.push_back(std::to_string(i) + std::string(static_cast<size_t>(i * 37 % 300), 'x') + "\n");
    content += std::string(kStamp) + " stdout F " + lines.back();
  }
  const std::string path = folder.Write("0.log", content);
  for (const int64_t count : {1, 2, 250, 251, 252, 253, 1000, 2999, 3000, 3001}) {
    std::string expected;
    for (size_t i = lines.size() - std::min<size_t>(lines.size(), static_cast<size_t>(count));
         i < lines.size(); ++i) {
      expected += lines[i];
    }
    EXPECT_EQ(Read(path, {.tail_lines = count}), expected) << count;
  }
}

TEST(LogReaderTest, TailOfALargeFileReadsItsEndOnly) {
  const TempFolder folder;
  std::string content;
  const std::string line = Line(std::string(1000, 'x'));
  while (content.size() < 50u << 20) {
    content += line;
  }
  const std::string path = folder.Write("0.log", content);
  auto reader = LogReader::Open(path, {.tail_lines = 10}, nullptr);
  ASSERT_TRUE(reader);
  int steps = 0;
  EXPECT_EQ(ReadAll(**reader, &steps).size(), 10 * 1001u);
  EXPECT_LT(steps, 5);
}

TEST(LogReaderTest, EndsWhereTheFileEndedWhenOpened) {
  const TempFolder folder;
  const std::string path = folder.Write("0.log", Line("one"));
  auto reader = LogReader::Open(path, {}, nullptr);
  ASSERT_TRUE(reader);
  folder.Append("0.log", Line("two"));
  EXPECT_EQ(ReadAll(**reader), "one\n");
  EXPECT_EQ(Read(path, {}), "one\ntwo\n");
}

TEST(LogReaderTest, ReadsAnUnfinishedLastLine) {
  const TempFolder folder;
  EXPECT_EQ(Read(folder.Write("0.log", Line("one") + std::string(kStamp) + " stdout F tw"), {}),
            "one\ntw");
  EXPECT_EQ(Read(folder.Write("1.log", Line("one") + "2026-11"), {}), "one\n");
  EXPECT_EQ(Read(folder.Write("2.log", ""), {}), "");
}

TEST(LogReaderTest, OpensRegularFilesOnly) {
  const TempFolder folder;
  EXPECT_EQ(LogReader::Open(folder / "none", {}, nullptr).error().code, Code::kNotFound);
  EXPECT_EQ(LogReader::Open(folder / ".", {}, nullptr).error().code, Code::kInvalidArgument);
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(LogReader::Open(folder / "fifo", {}, nullptr).error().code, Code::kInvalidArgument);
  folder.Write("target", "x");
  std::filesystem::create_symlink(folder / "target", folder / "link");
  EXPECT_FALSE(LogReader::Open(folder / "link", {}, nullptr));
}

class FollowTest : public ::testing::Test {
 protected:
  void Open(const std::string& content) {
    folder_.Write("0.log", content);
    auto reader = LogReader::Open(folder_ / "0.log", {.follow = true}, [this] { return running_; });
    ASSERT_TRUE(reader);
    reader_ = std::move(*reader);
  }

  // Until there is nothing to do but wait (twice, as a rotation takes a second look) or the end.
  std::string Drain() {
    std::string out;
    for (int waits = 0; waits < 2;) {
      const auto next = reader_->Produce(out);
      ended_ = !next || *next == BodySource::Next::kEnd;
      if (ended_) {
        break;
      }
      waits += *next == BodySource::Next::kWait ? 1 : 0;
    }
    return out;
  }

  static std::string At(int second, std::string_view text) {
    return "2026-01-01T00:00:" + std::to_string(10 + second) + "Z stdout F " + std::string(text) +
           "\n";
  }

  void Rotate(int second) {
    std::filesystem::rename(folder_ / "0.log",
                            folder_ / ("0.log.20260101-0000" + std::to_string(10 + second)));
  }

  TempFolder folder_;
  bool running_ = true;
  bool ended_ = false;
  std::unique_ptr<LogReader> reader_;
};

TEST_F(FollowTest, ReadsTheFilesThatCameAndWentMeanwhile) {
  Open(At(0, "zero"));
  EXPECT_EQ(Drain(), "zero\n");
  // Three rotations while the client was slow; the first is compressed by now.
  folder_.Append("0.log", At(1, "one"));
  Rotate(1);
  folder_.Write("0.log", At(2, "two"));
  Rotate(2);
  folder_.Write("0.log", At(3, "three"));
  Rotate(3);
  folder_.Write("0.log", At(4, "four"));
  folder_.Write("0.log.20260101-000001", At(-9, "older than what was read"));
  folder_.Write("0.log.20260101-000012.gz", "compressed");
  EXPECT_EQ(Drain() + Drain(), "one\ntwo\nthree\nfour\n");
}

TEST_F(FollowTest, EndsWhenTheContainerHasEndedAndAllIsRead) {
  Open(At(0, "zero"));
  EXPECT_EQ(Drain(), "zero\n");
  folder_.Append("0.log", At(1, "one"));
  Rotate(1);
  folder_.Write("0.log", At(2, "two"));
  running_ = false;
  EXPECT_EQ(Drain() + Drain(), "one\ntwo\n");
  EXPECT_TRUE(ended_);
}

TEST_F(FollowTest, WaitsWhileTheFileIsGone) {
  Open(At(0, "zero"));
  EXPECT_EQ(Drain(), "zero\n");
  Rotate(1);
  EXPECT_EQ(Drain(), "");
  EXPECT_FALSE(ended_);
  folder_.Write("0.log", At(2, "two"));
  EXPECT_EQ(Drain(), "two\n");
  std::filesystem::remove(folder_ / "0.log");
  running_ = false;
  EXPECT_EQ(Drain(), "");
  EXPECT_TRUE(ended_);
}

TEST_F(FollowTest, BeginsAnewWhenTheFileIsTruncated) {
  Open(At(0, "zero") + At(1, "one"));
  EXPECT_EQ(Drain(), "zero\none\n");
  std::filesystem::resize_file(folder_ / "0.log", 0);
  folder_.Append("0.log", At(2, "two"));
  EXPECT_EQ(Drain(), "two\n");
}

TEST_F(FollowTest, AnUnfinishedLineIsFinishedLater) {
  Open("2026-01-01T00:0");
  EXPECT_EQ(Drain(), "");
  folder_.Append("0.log", "0:00Z stdout F he");
  EXPECT_EQ(Drain(), "he");
  folder_.Append("0.log", "llo\n");
  EXPECT_EQ(Drain(), "llo\n");
  EXPECT_EQ(reader_->malformed(), 0);
}

}  // namespace
}  // namespace farlet::server::testing
