#include "runtime/vm/acceleration.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::vm {
namespace {

using Kind = Acceleration::Kind;

struct Case {
  const char* name;
  AccelerationMode mode;
  bool cpu_flag;
  bool device;
  bool boots;
  Kind expected;
  bool may_boot;  // whether the boot is tried at all
  const char* reason;
};

AccelerationFacts FactsOf(const Case& c, int& boots) {
  AccelerationFacts facts{.mode = c.mode, .cpu_flag = c.cpu_flag};
  if (!c.device) {
    facts.device = MakeError(Code::kNotFound, "open /dev/kvm: no such file");
  }
  facts.boot_with_kvm = [&boots, good = c.boots]() -> Status {
    ++boots;
    return good ? Status() : Status(MakeError(Code::kDeadlineExceeded, "silence"));
  };
  return facts;
}

TEST(AccelerationTest, DecisionTable) {
  using enum AccelerationMode;
  const Case cases[] = {
      {"all good", kAuto, true, true, true, Kind::kKvm, true, "a guest booted in "},
      {"demanded and good", kKvm, true, true, true, Kind::kKvm, true, "a guest booted in "},
      {"emulated /dev/kvm", kAuto, false, true, true, Kind::kTcg, false,
       "no kvm: the CPU has neither vmx nor svm"},
      {"no device", kAuto, true, false, true, Kind::kTcg, false,
       "no kvm: open /dev/kvm: no such file"},
      {"does not boot", kAuto, true, true, false, Kind::kTcg, true,
       "no kvm: a guest did not boot with it: silence"},
      {"switched off", kTcg, true, true, true, Kind::kTcg, false, "the configuration says so"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    int boots = 0;
    const auto result = DecideAcceleration(FactsOf(c, boots));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->kind, c.expected);
    EXPECT_EQ(result->reason.substr(0, std::string(c.reason).size()), c.reason);
    EXPECT_EQ(boots, c.may_boot ? 1 : 0);
  }
}

TEST(AccelerationTest, DemandedAndMissingIsAnError) {
  const Case cases[] = {
      {"flag", AccelerationMode::kKvm, false, true, true, Kind::kTcg, false, ""},
      {"device", AccelerationMode::kKvm, true, false, true, Kind::kTcg, false, ""},
      {"boot", AccelerationMode::kKvm, true, true, false, Kind::kTcg, true, ""},
  };
  for (const Case& c : cases) {
    int boots = 0;
    const auto result = DecideAcceleration(FactsOf(c, boots));
    ASSERT_FALSE(result) << c.name;
    EXPECT_EQ(result.error().code, Code::kFailedPrecondition) << c.name;
    EXPECT_NE(result.error().message.find("demands kvm"), std::string::npos) << c.name;
  }
}

}  // namespace
}  // namespace farlet::vm
