#include "runtime/guest/seccomp_program.h"

#include <linux/seccomp.h>

#include <cstddef>
#include <span>

namespace farlet::guest {
namespace {

sock_filter Statement(unsigned code, uint32_t k) {
  return {static_cast<uint16_t>(code), 0, 0, k};
}

sock_filter Jump(unsigned code, uint32_t k, unsigned if_true, unsigned if_false) {
  return {static_cast<uint16_t>(BPF_JMP | code | BPF_K), static_cast<uint8_t>(if_true),
          static_cast<uint8_t>(if_false), k};
}

sock_filter Return(uint32_t action) {
  return Statement(BPF_RET | BPF_K, action);
}

// Instructions of one rule; each jump that leaves it because a test failed is noted.
class RuleWriter {
 public:
  explicit RuleWriter(std::vector<sock_filter>& program) : program_(program) {}

  void Write(const SyscallRule& rule) {
    failures_.clear();
    for (const ArgumentTest& test : rule.tests) {
      Write(test);
    }
    program_.push_back(Return(rule.action));
    for (const size_t failure : failures_) {
      program_[failure].k = static_cast<uint32_t>(program_.size() - failure - 1);
    }
  }

 private:
  void Load(const ArgumentTest& test, bool high) {
    const size_t offset =
        offsetof(seccomp_data, args) + test.index * sizeof(uint64_t) + (high ? 4 : 0);
    program_.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }

  void Fail() {
    failures_.push_back(program_.size());
    program_.push_back(Statement(BPF_JMP | BPF_JA, 0));
  }

  void Equal(const ArgumentTest& test, bool high, uint32_t value, bool masked) {
    Load(test, high);
    if (masked) {
      const uint64_t mask = high ? test.value >> 32 : test.value;
      program_.push_back(Statement(BPF_ALU | BPF_AND | BPF_K, static_cast<uint32_t>(mask)));
    }
    program_.push_back(Jump(BPF_JEQ, value, 1, 0));
    Fail();
  }

  // Little-endian halves: the high one decides unless it is equal.
  void Write(const ArgumentTest& test) {
    using Op = ArgumentTest::Op;
    const bool masked = test.op == Op::kMaskedEqual;
    const uint64_t value = masked ? test.value_two : test.value;
    const auto high = static_cast<uint32_t>(value >> 32);
    const auto low = static_cast<uint32_t>(value);
    if (masked || test.op == Op::kEqual) {
      Equal(test, true, high, masked);
      Equal(test, false, low, masked);
      return;
    }
    Load(test, true);
    if (test.op == Op::kNotEqual) {
      program_.push_back(Jump(BPF_JEQ, high, 0, 3));
      Load(test, false);
      program_.push_back(Jump(BPF_JEQ, low, 0, 1));
      Fail();
      return;
    }
    const bool less = test.op == Op::kLess || test.op == Op::kLessEqual;
    // Decided by the high half: 5 further is behind this test.
    program_.push_back(less ? Jump(BPF_JGE, high, 0, 5) : Jump(BPF_JGT, high, 5, 0));
    program_.push_back(Jump(BPF_JEQ, high, 1, 0));
    Fail();
    Load(test, false);
    switch (test.op) {
      case Op::kLess:
        program_.push_back(Jump(BPF_JGE, low, 0, 1));
        break;
      case Op::kLessEqual:
        program_.push_back(Jump(BPF_JGT, low, 0, 1));
        break;
      case Op::kGreater:
        program_.push_back(Jump(BPF_JGT, low, 1, 0));
        break;
      default:
        program_.push_back(Jump(BPF_JGE, low, 1, 0));
        break;
    }
    Fail();
  }

  std::vector<sock_filter>& program_;
  std::vector<size_t> failures_;
};

// System calls from `first` up to the next range's.
struct Range {
  uint32_t first = 0;
  uint32_t action = 0;
  // Instead of `action` where arguments matter.
  const std::vector<SyscallRule>* rules = nullptr;
};

std::vector<Range> MakeRanges(const SyscallRules& rules) {
  std::vector<Range> ranges;
  const auto add = [&ranges](Range range) {
    if (!ranges.empty() && ranges.back().first == range.first) {
      ranges.pop_back();
    }
    const bool same = !ranges.empty() && ranges.back().rules == nullptr && range.rules == nullptr &&
                      ranges.back().action == range.action;
    if (!same) {
      ranges.push_back(range);
    }
  };
  add({0, rules.default_action});
  for (const auto& [number, list] : rules.by_number) {
    const bool plain = list.front().tests.empty();
    add({number, list.front().action, plain ? nullptr : &list});
    add({number + 1, rules.default_action});
  }
  if (!rules.by_number.empty()) {
    add({rules.by_number.rbegin()->first + 1, rules.unknown_action});
  }
  return ranges;
}

void AppendTree(std::span<const Range> ranges,
                uint32_t default_action,
                std::vector<sock_filter>& program) {
  if (ranges.size() > 1) {
    const size_t middle = ranges.size() / 2;
    // An unconditional jump reaches further than the 255 of a conditional one.
    program.push_back(Jump(BPF_JGE, ranges[middle].first, 0, 1));
    const size_t jump = program.size();
    program.push_back(Statement(BPF_JMP | BPF_JA, 0));
    AppendTree(ranges.first(middle), default_action, program);
    program[jump].k = static_cast<uint32_t>(program.size() - jump - 1);
    AppendTree(ranges.subspan(middle), default_action, program);
    return;
  }
  const Range& range = ranges.front();
  if (range.rules == nullptr) {
    program.push_back(Return(range.action));
    return;
  }
  RuleWriter writer(program);
  for (const SyscallRule& rule : *range.rules) {
    writer.Write(rule);
    if (rule.tests.empty()) {
      return;
    }
  }
  program.push_back(Return(default_action));
}

}  // namespace

void AppendDecision(const SyscallRules& rules, std::vector<sock_filter>& program) {
  program.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  AppendTree(MakeRanges(rules), rules.default_action, program);
}

}  // namespace farlet::guest
