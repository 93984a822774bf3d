#include "kube/api/quantity.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::kube {
namespace {

struct Case {
  std::string text;
  int64_t milli = 0;
  int64_t value = 0;
};

class QuantityTest : public testing::TestWithParam<Case> {};

TEST_P(QuantityTest, Parses) {
  const Result<Quantity> quantity = Quantity::Parse(GetParam().text);
  ASSERT_TRUE(quantity) << quantity.error().message;
  EXPECT_EQ(quantity->milli(), GetParam().milli);
  EXPECT_EQ(quantity->value(), GetParam().value);
}

constexpr int64_t kGi = 1024LL * 1024 * 1024;

INSTANTIATE_TEST_SUITE_P(
    Table,
    QuantityTest,
    testing::Values(Case{"0", 0, 0},
                    Case{"1", 1000, 1},
                    Case{"+1", 1000, 1},
                    Case{"-1", -1000, -1},
                    Case{"100m", 100, 1},
                    Case{"1500m", 1500, 2},
                    Case{"0.5", 500, 1},
                    Case{".5", 500, 1},
                    Case{"5.", 5000, 5},
                    Case{"0.0001", 1, 1},
                    Case{"1n", 1, 1},
                    Case{"1u", 1, 1},
                    Case{"1000000n", 1, 1},
                    Case{"0n", 0, 0},
                    Case{"1k", 1'000'000, 1000},
                    Case{"2M", 2'000'000'000, 2'000'000},
                    Case{"1Ki", 1'024'000, 1024},
                    Case{"128Mi", 128LL * 1024 * 1024 * 1000, 128LL * 1024 * 1024},
                    Case{"1.5Gi", kGi * 1500, kGi * 3 / 2},
                    Case{"1e3", 1'000'000, 1000},
                    Case{"1E3", 1'000'000, 1000},
                    Case{"12e-1", 1200, 2},
                    Case{"1e+2", 100'000, 100},
                    Case{"9P", 9'000'000'000'000'000'000LL, 9'000'000'000'000'000LL}));

struct BadCase {
  std::string text;
  Code code = Code::kInvalidArgument;
};

class BadQuantityTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadQuantityTest, IsAnError) {
  const Result<Quantity> quantity = Quantity::Parse(GetParam().text);
  ASSERT_FALSE(quantity);
  EXPECT_EQ(quantity.error().code, GetParam().code);
  EXPECT_FALSE(quantity.error().message.empty());
}

INSTANTIATE_TEST_SUITE_P(Table,
                         BadQuantityTest,
                         testing::Values(BadCase{""},
                                         BadCase{"-"},
                                         BadCase{"."},
                                         BadCase{"m"},
                                         BadCase{"1 "},
                                         BadCase{" 1"},
                                         BadCase{"1x"},
                                         BadCase{"1.2.3"},
                                         BadCase{"1KI"},
                                         BadCase{"1ki"},
                                         BadCase{"1e"},
                                         BadCase{"1e1.5"},
                                         BadCase{"1e999"},
                                         BadCase{std::string(200, '1')},
                                         BadCase{std::string(40, '1')},
                                         BadCase{"1E", Code::kOutOfRange},
                                         BadCase{"10E", Code::kOutOfRange},
                                         BadCase{"9Ei", Code::kOutOfRange},
                                         BadCase{"1e40", Code::kOutOfRange}));

}  // namespace
}  // namespace farlet::kube
