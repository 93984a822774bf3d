#include "runtime/base/time_format.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace farlet {
namespace {

using std::chrono::nanoseconds;

WallTime At(int64_t nanos) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(nanoseconds(nanos)));
}

TEST(TimeFormatTest, WritesTheForms) {
  const WallTime time = At(1'763'806'794'599'823'870);
  EXPECT_EQ(FormatRfc3339(time), "2025-11-22T10:19:54Z");
  EXPECT_EQ(FormatRfc3339Micro(time), "2025-11-22T10:19:54.599823Z");
  EXPECT_EQ(FormatRfc3339Nano(time), "2025-11-22T10:19:54.59982387Z");
  EXPECT_EQ(FormatRfc3339Nano(At(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRfc3339Micro(At(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(FormatRfc3339Nano(At(-1)), "1969-12-31T23:59:59.999999999Z");
}

TEST(TimeFormatTest, ReadsWhatIsAllowed) {
  struct Case {
    std::string text;
    int64_t nanos;
  };

  for (const Case& test :
       {Case{"1970-01-01T00:00:01Z", 1'000'000'000}, Case{"1970-01-01T00:00:01.5Z", 1'500'000'000},
        Case{"1970-01-01T00:00:00.000000001Z", 1}, Case{"1970-01-01t00:00:01z", 1'000'000'000},
        Case{"1970-01-01T02:00:01+02:00", 1'000'000'000},
        Case{"1969-12-31T23:30:01-00:30", 1'000'000'000},
        Case{"2024-02-29T00:00:00Z", 1'709'164'800'000'000'000}}) {
    const auto time = ParseRfc3339(test.text);
    ASSERT_TRUE(time) << test.text;
    EXPECT_EQ(time->time_since_epoch(), nanoseconds(test.nanos)) << test.text;
  }
}

TEST(TimeFormatTest, RefusesTheRestAndNamesIt) {
  for (const std::string text :
       {"", "now", "2025-11-22", "2025-11-22T10:19:54", "2025-11-22 10:19:54Z",
        "2025-13-22T10:19:54Z", "2025-00-22T10:19:54Z", "2025-11-31T10:19:54Z",
        "2025-02-29T00:00:00Z", "2025-11-00T10:19:54Z", "2025-11-22T24:00:00Z",
        "2025-11-22T10:60:00Z", "2025-11-22T10:19:61Z", "2025-11-22T10:19:54.Z",
        "2025-11-22T10:19:54Zx", "2025-11-22T10:19:54+2:00", "-025-11-22T10:19:54Z",
        "2025-11-22T10:19:54+0200"}) {
    const auto time = ParseRfc3339(text);
    ASSERT_FALSE(time) << text;
    EXPECT_EQ(time.error().code, Code::kInvalidArgument);
    EXPECT_NE(time.error().message.find("\"" + text + "\""), std::string::npos) << text;
  }
}

TEST(TimeFormatTest, ReadsBackWhatItWrote) {
  for (const int64_t nanos :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1'763'806'794'599'823'870}}) {
    EXPECT_EQ(*ParseRfc3339(FormatRfc3339Nano(At(nanos))), At(nanos));
  }
}

TEST(TimeFormatTest, WritesDurationsAsGoDoes) {
  struct Case {
    int64_t nanos;
    std::string text;
  };

  for (const Case& test :
       {Case{0, "0s"}, Case{1, "1ns"}, Case{1'500, "1.5µs"}, Case{350'000'000, "350ms"},
        Case{123'456'789, "123.456789ms"}, Case{1'500'000'000, "1.5s"}, Case{10'000'000'000, "10s"},
        Case{59'123'456'789, "59.123456789s"}, Case{60'000'000'000, "1m0s"},
        Case{90'000'000'000, "1m30s"}, Case{3'600'000'000'000, "1h0m0s"},
        Case{5'025'500'000'000, "1h23m45.5s"}, Case{-1'500'000'000, "-1.5s"}}) {
    EXPECT_EQ(FormatGoDuration(nanoseconds(test.nanos)), test.text);
  }
}

}  // namespace
}  // namespace farlet
