#include "runtime/base/backoff.h"

#include <gtest/gtest.h>

#include <vector>

namespace farlet {
namespace {

TEST(BackoffTest, GrowsToItsCapAndStartsAnew) {
  Backoff backoff(
      {.initial = milliseconds(100), .max = milliseconds(700), .factor = 2.0, .jitter = 0});
  for (const int expected : {100, 200, 400, 700, 700}) {
    EXPECT_EQ(backoff.Next(), milliseconds(expected));
  }
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(100));
}

TEST(BackoffTest, JitterOnlyLengthens) {
  Backoff backoff({.initial = milliseconds(1000), .max = milliseconds(1000), .jitter = 0.2});
  for (int i = 0; i < 1000; ++i) {
    const milliseconds wait = backoff.Next();
    EXPECT_GE(wait, milliseconds(1000));
    EXPECT_LE(wait, milliseconds(1200));
  }
}

}  // namespace
}  // namespace farlet
