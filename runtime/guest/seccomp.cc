#include "runtime/guest/seccomp.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/guest/seccomp_program.h"
#include "runtime/guest/syscall_table.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace farlet::guest {
namespace {

constexpr uint32_t kX32Bit = 0x40000000;

struct Architectures {
  bool i386 = false;
  bool x32 = false;
};

Result<uint32_t> ParseAction(std::string_view name, uint32_t data) {
  if (data > SECCOMP_RET_DATA) {
    return InvalidArgument("seccomp: errno " + std::to_string(data) + " is too large");
  }
  const std::array<std::pair<std::string_view, uint32_t>, 8> actions = {{
      {"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
      {"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
      {"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
      {"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
      {"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO | data},
      {"SCMP_ACT_TRACE", SECCOMP_RET_TRACE | data},
      {"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
      {"SCMP_ACT_LOG", SECCOMP_RET_LOG},
  }};
  for (const auto& [text, action] : actions) {
    if (name == text) {
      return action;
    }
  }
  return InvalidArgument("seccomp: unknown action \"" + std::string(name.substr(0, 64)) + "\"");
}

Result<ArgumentTest> ParseTest(const v1::SeccompArg& argument) {
  using Op = ArgumentTest::Op;
  constexpr std::array<std::pair<std::string_view, Op>, 7> operators = {{
      {"SCMP_CMP_EQ", Op::kEqual},
      {"SCMP_CMP_NE", Op::kNotEqual},
      {"SCMP_CMP_LT", Op::kLess},
      {"SCMP_CMP_LE", Op::kLessEqual},
      {"SCMP_CMP_GT", Op::kGreater},
      {"SCMP_CMP_GE", Op::kGreaterEqual},
      {"SCMP_CMP_MASKED_EQ", Op::kMaskedEqual},
  }};
  if (argument.index() > 5) {
    return InvalidArgument("seccomp: a system call has no argument " +
                           std::to_string(argument.index()));
  }
  for (const auto& [text, op] : operators) {
    if (argument.op() == text) {
      return ArgumentTest{argument.index(), op, argument.value(), argument.value_two()};
    }
  }
  return InvalidArgument("seccomp: unknown operator \"" + argument.op().substr(0, 64) + "\"");
}

// Tests of one rule; several of the same argument are alternatives, each a rule of its own.
Result<std::vector<SyscallRule>> ParseTests(const v1::SeccompSyscall& rule, uint32_t action) {
  SyscallRule together{.action = action};
  std::array<int, 6> uses{};
  for (const v1::SeccompArg& argument : rule.args()) {
    FARLET_ASSIGN(auto test, ParseTest(argument));
    ++uses[test.index];
    together.tests.push_back(test);
  }
  if (std::all_of(uses.begin(), uses.end(), [](int count) { return count < 2; })) {
    return std::vector{std::move(together)};
  }
  std::vector<SyscallRule> alternatives;
  for (const ArgumentTest& test : together.tests) {
    alternatives.push_back({{test}, action});
  }
  return alternatives;
}

Result<Architectures> ParseArchitectures(const v1::Seccomp& rules) {
  Architectures found;
  for (const std::string& name : rules.architectures()) {
    if (name == "SCMP_ARCH_X86") {
      found.i386 = true;
    } else if (name == "SCMP_ARCH_X32") {
      found.x32 = true;
    } else if (!name.starts_with("SCMP_ARCH_")) {
      return InvalidArgument("seccomp: unknown architecture \"" + name.substr(0, 64) + "\"");
    }
  }
  return found;
}

Result<unsigned> ParseFlags(const v1::Seccomp& rules) {
  unsigned flags = 0;
  for (const std::string& name : rules.flags()) {
    if (name == "SECCOMP_FILTER_FLAG_LOG") {
      flags |= SECCOMP_FILTER_FLAG_LOG;
    } else if (name == "SECCOMP_FILTER_FLAG_SPEC_ALLOW") {
      flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    } else if (name == "SECCOMP_FILTER_FLAG_TSYNC") {
      flags |= SECCOMP_FILTER_FLAG_TSYNC;
    } else {
      return InvalidArgument("seccomp: unknown flag \"" + name.substr(0, 64) + "\"");
    }
  }
  return flags;
}

// The rules as numbers of one architecture.
Result<SyscallRules> Resolve(const v1::Seccomp& rules, std::span<const SyscallName> table) {
  SyscallRules resolved;
  FARLET_ASSIGN(resolved.default_action,
                ParseAction(rules.default_action(),
                            rules.has_default_errno_ret() ? rules.default_errno_ret() : EPERM));
  const bool lenient =
      resolved.default_action == SECCOMP_RET_ALLOW || resolved.default_action == SECCOMP_RET_LOG;
  resolved.unknown_action = lenient ? resolved.default_action : SECCOMP_RET_ERRNO | ENOSYS;
  for (const v1::SeccompSyscall& rule : rules.syscalls()) {
    FARLET_ASSIGN(const uint32_t action,
                  ParseAction(rule.action(), rule.has_errno_ret() ? rule.errno_ret() : EPERM));
    FARLET_ASSIGN(const auto tests, ParseTests(rule, action));
    for (const std::string& name : rule.names()) {
      if (const auto number = FindSyscall(table, name)) {
        auto& list = resolved.by_number[*number];
        list.insert(list.end(), tests.begin(), tests.end());
      }
    }
  }
  return resolved;
}

void Append(std::vector<sock_filter>& program, unsigned code, uint32_t k, int jt = 0, int jf = 0) {
  program.push_back(
      {static_cast<uint16_t>(code), static_cast<uint8_t>(jt), static_cast<uint8_t>(jf), k});
}

}  // namespace

Result<SeccompFilter> CompileSeccomp(const v1::Seccomp& rules) {
  SeccompFilter filter;
  FARLET_ASSIGN(filter.flags, ParseFlags(rules));
  FARLET_ASSIGN(const Architectures architectures, ParseArchitectures(rules));
  FARLET_ASSIGN(const SyscallRules native, Resolve(rules, NativeSyscalls()));
  auto& program = filter.program;
  Append(program, BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
  Append(program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  const size_t not_native = program.size();
  Append(program, BPF_JMP | BPF_JA, 0);
  Append(program, BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  Append(program, BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1);
  Append(program, BPF_RET | BPF_K,
         architectures.x32 ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_KILL_PROCESS);
  AppendDecision(native, program);
  program[not_native].k = static_cast<uint32_t>(program.size() - not_native - 1);
  if (architectures.i386) {
    FARLET_ASSIGN(const SyscallRules compatible, Resolve(rules, I386Syscalls()));
    Append(program, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 1, 0);
    Append(program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    AppendDecision(compatible, program);
  } else {
    Append(program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  }
  if (program.size() > BPF_MAXINSNS) {
    return MakeError(Code::kResourceExhausted,
                     "seccomp: a program of " + std::to_string(program.size()) +
                         " instructions, at most " + std::to_string(BPF_MAXINSNS));
  }
  return filter;
}

Status InstallSeccomp(const SeccompFilter& filter) {
  sock_fprog program{};
  program.len = static_cast<unsigned short>(filter.program.size());
  // The kernel only reads it.
  program.filter = const_cast<sock_filter*>(filter.program.data());
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter.flags, &program) != 0) {
    return ErrnoError(errno, "install the seccomp filter");
  }
  return {};
}

}  // namespace farlet::guest
