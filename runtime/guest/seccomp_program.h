#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <map>
#include <vector>

namespace farlet::guest {

// A comparison of one 64-bit argument of a system call.
struct ArgumentTest {
  enum class Op { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kMaskedEqual };
  unsigned index = 0;
  Op op = Op::kEqual;
  uint64_t value = 0;
  // kMaskedEqual: (argument & value) == value_two.
  uint64_t value_two = 0;
};

// All tests hold: `action`, what the program then returns.
struct SyscallRule {
  std::vector<ArgumentTest> tests;
  uint32_t action = 0;
};

// The rules of one architecture: the first of a system call's that matches decides.
struct SyscallRules {
  std::map<uint32_t, std::vector<SyscallRule>> by_number;
  // For all other calls.
  uint32_t default_action = 0;
  // For those above the largest number here.
  uint32_t unknown_action = 0;
};

// Appends instructions that decide about seccomp_data.nr by binary search over ranges of equal
// action. They always return.
void AppendDecision(const SyscallRules& rules, std::vector<sock_filter>& program);

}  // namespace farlet::guest
