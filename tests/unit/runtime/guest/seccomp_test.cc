#include "runtime/guest/seccomp.h"

#include "proto/guest/v1/guest.pb.h"

#include <gtest/gtest.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

namespace farlet::guest {
namespace {

// What a program answers: the kernel's interpreter, as far as our programs go.
uint32_t Evaluate(const SeccompFilter& filter, const seccomp_data& data) {
  uint32_t accumulator = 0;
  for (size_t at = 0; at < filter.program.size(); ++at) {
    const sock_filter& one = filter.program[at];
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + one.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= one.k;
        break;
      case BPF_JMP | BPF_JA:
        at += one.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        at += accumulator > one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= one.k ? one.jt : one.jf;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      default:
        ADD_FAILURE() << "instruction " << one.code;
        return 0;
    }
  }
  ADD_FAILURE() << "ran over the end";
  return 0;
}

uint32_t Ask(const SeccompFilter& filter,
             long number,
             uint64_t first = 0,
             uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = arch;
  data.args[0] = first;
  data.args[1] = ~first;
  return Evaluate(filter, data);
}

v1::SeccompSyscall* AddRule(v1::Seccomp& rules, const char* name, const char* action) {
  auto* rule = rules.add_syscalls();
  rule->add_names(name);
  rule->set_action(action);
  return rule;
}

SeccompFilter Compile(const v1::Seccomp& rules) {
  auto filter = CompileSeccomp(rules);
  EXPECT_TRUE(filter) << filter.error().message;
  return filter ? *filter : SeccompFilter();
}

constexpr uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM;

TEST(Seccomp, ListOfTheAllowed) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ERRNO");
  for (const char* name : {"read", "write", "close", "openat", "exit_group", "no_such_call"}) {
    AddRule(rules, name, "SCMP_ACT_ALLOW");
  }
  const SeccompFilter filter = Compile(rules);
  EXPECT_EQ(Ask(filter, SYS_read), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_write), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_open), kDenied);
  EXPECT_EQ(Ask(filter, SYS_close), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_openat), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_mkdirat), SECCOMP_RET_ERRNO | ENOSYS) << "newer than all it knows";
  EXPECT_EQ(Ask(filter, SYS_exit_group), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_mount), kDenied);
}

TEST(Seccomp, EveryNumberDecidesAsItsRule) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ALLOW");
  AddRule(rules, "read", "SCMP_ACT_KILL_PROCESS");
  AddRule(rules, "open", "SCMP_ACT_LOG");
  auto* rule = AddRule(rules, "close", "SCMP_ACT_ERRNO");
  rule->set_errno_ret(5);
  AddRule(rules, "mount", "SCMP_ACT_TRAP");
  const SeccompFilter filter = Compile(rules);
  for (int number = 0; number < 1000; ++number) {
    const uint32_t expected = number == SYS_read    ? SECCOMP_RET_KILL_PROCESS
                              : number == SYS_open  ? SECCOMP_RET_LOG
                              : number == SYS_close ? SECCOMP_RET_ERRNO | 5u
                              : number == SYS_mount ? SECCOMP_RET_TRAP
                                                    : SECCOMP_RET_ALLOW;
    ASSERT_EQ(Ask(filter, number), expected) << number;
  }
}

struct Comparison {
  const char* op;
  uint64_t value;
  uint64_t value_two;
  uint64_t argument;
  bool holds;
};

class SeccompArguments : public testing::TestWithParam<Comparison> {};

TEST_P(SeccompArguments, Compare) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ALLOW");
  auto* argument = AddRule(rules, "personality", "SCMP_ACT_ERRNO")->add_args();
  argument->set_op(GetParam().op);
  argument->set_value(GetParam().value);
  argument->set_value_two(GetParam().value_two);
  const SeccompFilter filter = Compile(rules);
  EXPECT_EQ(Ask(filter, SYS_personality, GetParam().argument),
            GetParam().holds ? kDenied : SECCOMP_RET_ALLOW);
}

constexpr uint64_t kBig = 0x1'0000'0005;

INSTANTIATE_TEST_SUITE_P(All,
                         SeccompArguments,
                         testing::Values(Comparison{"SCMP_CMP_EQ", kBig, 0, kBig, true},
                                         Comparison{"SCMP_CMP_EQ", kBig, 0, 5, false},
                                         Comparison{"SCMP_CMP_EQ", kBig, 0, kBig + 1, false},
                                         Comparison{"SCMP_CMP_NE", kBig, 0, kBig, false},
                                         Comparison{"SCMP_CMP_NE", kBig, 0, 5, true},
                                         Comparison{"SCMP_CMP_NE", kBig, 0, kBig + 1, true},
                                         Comparison{"SCMP_CMP_LT", kBig, 0, kBig - 1, true},
                                         Comparison{"SCMP_CMP_LT", kBig, 0, kBig, false},
                                         Comparison{"SCMP_CMP_LT", kBig, 0, 7, true},
                                         Comparison{"SCMP_CMP_LT", kBig, 0, 0x2'0000'0000, false},
                                         Comparison{"SCMP_CMP_LE", kBig, 0, kBig, true},
                                         Comparison{"SCMP_CMP_LE", kBig, 0, kBig + 1, false},
                                         Comparison{"SCMP_CMP_LE", kBig, 0, 0x2'0000'0000, false},
                                         Comparison{"SCMP_CMP_LE", kBig, 0, 7, true},
                                         Comparison{"SCMP_CMP_GT", kBig, 0, kBig, false},
                                         Comparison{"SCMP_CMP_GT", kBig, 0, kBig + 1, true},
                                         Comparison{"SCMP_CMP_GT", kBig, 0, 0x2'0000'0000, true},
                                         Comparison{"SCMP_CMP_GT", kBig, 0, 7, false},
                                         Comparison{"SCMP_CMP_GE", kBig, 0, kBig, true},
                                         Comparison{"SCMP_CMP_GE", kBig, 0, kBig - 1, false},
                                         Comparison{"SCMP_CMP_GE", kBig, 0, 0x2'0000'0000, true},
                                         Comparison{"SCMP_CMP_GE", kBig, 0, 7, false},
                                         Comparison{"SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0x5f, true},
                                         Comparison{"SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0x6f, false},
                                         Comparison{"SCMP_CMP_MASKED_EQ", 0xf0'0000'0000, 0,
                                                    0x10'0000'0000, false}));

TEST(Seccomp, AllArgumentsMustHold) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ALLOW");
  auto* rule = AddRule(rules, "personality", "SCMP_ACT_ERRNO");
  for (unsigned index : {0u, 1u}) {
    auto* argument = rule->add_args();
    argument->set_index(index);
    argument->set_op("SCMP_CMP_EQ");
    argument->set_value(index == 0 ? 7 : ~uint64_t{7});
  }
  const SeccompFilter filter = Compile(rules);
  EXPECT_EQ(Ask(filter, SYS_personality, 7), kDenied);
  EXPECT_EQ(Ask(filter, SYS_personality, 8), SECCOMP_RET_ALLOW);
  // The same argument twice: either.
  rule->mutable_args(1)->set_index(0);
  rule->mutable_args(1)->set_value(8);
  const SeccompFilter either = Compile(rules);
  EXPECT_EQ(Ask(either, SYS_personality, 7), kDenied);
  EXPECT_EQ(Ask(either, SYS_personality, 8), kDenied);
  EXPECT_EQ(Ask(either, SYS_personality, 9), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, FirstRuleThatMatchesDecides) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ERRNO");
  auto* argument = AddRule(rules, "personality", "SCMP_ACT_LOG")->add_args();
  argument->set_op("SCMP_CMP_EQ");
  argument->set_value(7);
  AddRule(rules, "personality", "SCMP_ACT_ALLOW");
  const SeccompFilter filter = Compile(rules);
  EXPECT_EQ(Ask(filter, SYS_personality, 7), SECCOMP_RET_LOG);
  EXPECT_EQ(Ask(filter, SYS_personality, 8), SECCOMP_RET_ALLOW);
}

TEST(Seccomp, OtherArchitectures) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ERRNO");
  AddRule(rules, "mkdir", "SCMP_ACT_ALLOW");
  constexpr int kI386Mkdir = 39;
  constexpr int kX32 = 0x40000000;
  SeccompFilter filter = Compile(rules);
  EXPECT_EQ(Ask(filter, kI386Mkdir, 0, AUDIT_ARCH_I386), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(Ask(filter, kX32 + SYS_mkdir), SECCOMP_RET_KILL_PROCESS);
  rules.add_architectures("SCMP_ARCH_X86_64");
  rules.add_architectures("SCMP_ARCH_X86");
  rules.add_architectures("SCMP_ARCH_X32");
  filter = Compile(rules);
  EXPECT_EQ(Ask(filter, kI386Mkdir, 0, AUDIT_ARCH_I386), SECCOMP_RET_ALLOW);
  EXPECT_EQ(Ask(filter, SYS_mkdir, 0, AUDIT_ARCH_I386), SECCOMP_RET_ERRNO | ENOSYS);
  EXPECT_EQ(Ask(filter, kI386Mkdir), kDenied);
  EXPECT_EQ(Ask(filter, kX32 + SYS_mkdir), SECCOMP_RET_ERRNO | ENOSYS);
  EXPECT_EQ(Ask(filter, SYS_mkdir, 0, AUDIT_ARCH_AARCH64), SECCOMP_RET_KILL_PROCESS);
}

TEST(Seccomp, WhatIsUnknownIsRefused) {
  v1::Seccomp rules;
  EXPECT_FALSE(CompileSeccomp(rules)) << "no default";
  rules.set_default_action("SCMP_ACT_ALLOW");
  EXPECT_TRUE(CompileSeccomp(rules));
  auto* rule = AddRule(rules, "read", "SCMP_ACT_DANCE");
  EXPECT_FALSE(CompileSeccomp(rules));
  rule->set_action("SCMP_ACT_ERRNO");
  rule->set_errno_ret(0x10000);
  EXPECT_FALSE(CompileSeccomp(rules));
  rule->clear_errno_ret();
  auto* argument = rule->add_args();
  argument->set_op("SCMP_CMP_NEAR");
  EXPECT_FALSE(CompileSeccomp(rules));
  argument->set_op("SCMP_CMP_EQ");
  argument->set_index(6);
  EXPECT_FALSE(CompileSeccomp(rules));
  argument->set_index(5);
  EXPECT_TRUE(CompileSeccomp(rules));
  rules.add_flags("SECCOMP_FILTER_FLAG_WAIT");
  EXPECT_FALSE(CompileSeccomp(rules));
  rules.clear_flags();
  rules.add_architectures("VAX");
  EXPECT_FALSE(CompileSeccomp(rules));
}

TEST(Seccomp, TooLongForTheKernel) {
  v1::Seccomp rules;
  rules.set_default_action("SCMP_ACT_ALLOW");
  for (unsigned count = 0; count < 1000; ++count) {
    auto* argument = AddRule(rules, "read", "SCMP_ACT_ERRNO")->add_args();
    argument->set_op("SCMP_CMP_EQ");
    argument->set_value(count);
  }
  const auto filter = CompileSeccomp(rules);
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace farlet::guest
