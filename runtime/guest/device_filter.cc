#include "runtime/guest/device_filter.h"

#include "proto/guest/v1/guest.pb.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <vector>

namespace farlet::guest {
namespace {

// Registers while the program runs: what is asked for, and scratch.
enum Register : uint8_t {
  kResult = 0,
  kContext = 1,
  kType = 2,
  kAccess = 3,
  kMajor = 4,
  kMinor = 5,
  kScratch = 6
};

struct Rule {
  bool allow = true;
  // BPF_DEVCG_DEV_CHAR, BPF_DEVCG_DEV_BLOCK or 0 for both.
  int type = 0;
  int access = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
  int64_t major = -1;
  int64_t minor = -1;
};

class Program {
 public:
  Program() {
    // access_type: the kind of access above, the type of the device in the lower 16 bits.
    Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type));
    Add(BPF_ALU | BPF_MOV | BPF_X, kAccess, kType, 0, 0);
    Add(BPF_ALU | BPF_AND | BPF_K, kType, 0, 0, 0xffff);
    Add(BPF_ALU | BPF_RSH | BPF_K, kAccess, 0, 0, 16);
    Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major));
    Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor));
  }

  void Add(const Rule& rule) {
    std::vector<size_t> jumps;
    const auto skip_unless_equal = [&](uint8_t reg, int64_t value) {
      jumps.push_back(code_.size());
      Add(BPF_JMP | BPF_JNE | BPF_K, reg, 0, 0, static_cast<int32_t>(value));
    };
    if (rule.type != 0) {
      skip_unless_equal(kType, rule.type);
    }
    // Allowed is what lies inside the rule, refused what touches it.
    Add(BPF_ALU | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0);
    Add(BPF_ALU | BPF_AND | BPF_K, kScratch, 0, 0, rule.allow ? ~rule.access : rule.access);
    jumps.push_back(code_.size());
    Add(BPF_JMP | (rule.allow ? BPF_JNE : BPF_JEQ) | BPF_K, kScratch, 0, 0, 0);
    if (rule.major >= 0) {
      skip_unless_equal(kMajor, rule.major);
    }
    if (rule.minor >= 0) {
      skip_unless_equal(kMinor, rule.minor);
    }
    Return(rule.allow);
    for (const size_t jump : jumps) {
      code_[jump].off = static_cast<int16_t>(code_.size() - jump - 1);
    }
  }

  void Return(bool allow) {
    Add(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, allow ? 1 : 0);
    Add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }

  Result<UniqueFd> Load() const {
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insn_cnt = static_cast<uint32_t>(code_.size());
    load.insns = reinterpret_cast<uint64_t>(code_.data());
    load.license = reinterpret_cast<uint64_t>("Apache-2.0");
    UniqueFd program(static_cast<int>(::syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load)));
    if (!program.valid()) {
      return ErrnoError(errno, "load a device filter");
    }
    return program;
  }

  std::string Instructions() const {
    return {reinterpret_cast<const char*>(code_.data()), code_.size() * sizeof(bpf_insn)};
  }

 private:
  void Load(uint8_t reg, size_t offset) {
    Add(BPF_LDX | BPF_MEM | BPF_W, reg, kContext, static_cast<int16_t>(offset), 0);
  }

  void Add(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<uint8_t>(code);
    instruction.dst_reg = to & 0xf;
    instruction.src_reg = from & 0xf;
    instruction.off = offset;
    instruction.imm = value;
    code_.push_back(instruction);
  }

  std::vector<bpf_insn> code_;
};

Result<Rule> ParseRule(const v1::DeviceRule& message) {
  Rule rule;
  rule.allow = message.allow();
  if (message.type() == "c") {
    rule.type = BPF_DEVCG_DEV_CHAR;
  } else if (message.type() == "b") {
    rule.type = BPF_DEVCG_DEV_BLOCK;
  } else if (!message.type().empty() && message.type() != "a") {
    return InvalidArgument("device rule: unknown type \"" + message.type().substr(0, 16) + "\"");
  }
  if (!message.access().empty()) {
    rule.access = 0;
  }
  for (const char letter : message.access()) {
    if (letter != 'r' && letter != 'w' && letter != 'm') {
      return InvalidArgument("device rule: unknown access \"" + message.access().substr(0, 16) +
                             "\"");
    }
    rule.access |= letter == 'r'   ? BPF_DEVCG_ACC_READ
                   : letter == 'w' ? BPF_DEVCG_ACC_WRITE
                                   : BPF_DEVCG_ACC_MKNOD;
  }
  rule.major = message.has_major() ? message.major() : -1;
  rule.minor = message.has_minor() ? message.minor() : -1;
  return rule;
}

Result<Program> Compile(const google::protobuf::RepeatedPtrField<v1::DeviceRule>& rules) {
  Program program;
  for (int minor : {3, 5, 7, 8, 9}) {
    program.Add(Rule{.type = BPF_DEVCG_DEV_CHAR, .major = 1, .minor = minor});
  }
  // /dev/tty, /dev/ptmx and the pseudo-terminals.
  program.Add(Rule{.type = BPF_DEVCG_DEV_CHAR, .major = 5, .minor = 0});
  program.Add(Rule{.type = BPF_DEVCG_DEV_CHAR, .major = 5, .minor = 2});
  program.Add(Rule{.type = BPF_DEVCG_DEV_CHAR, .major = 136});
  for (int index = rules.size() - 1; index >= 0; --index) {
    FARLET_ASSIGN(const Rule rule, ParseRule(rules.Get(index)));
    program.Add(rule);
  }
  program.Return(false);
  return program;
}

}  // namespace

Status DeviceFilters::Preload() {
  google::protobuf::RepeatedPtrField<v1::DeviceRule> nothing;
  nothing.Add();  // that matches all, and refuses
  FARLET_ASSIGN(const Program program, Compile(nothing));
  FARLET_ASSIGN(program_, program.Load());
  preloaded_ = program.Instructions();
  return {};
}

Status DeviceFilters::Attach(
    const Cgroup& cgroup, const google::protobuf::RepeatedPtrField<v1::DeviceRule>& rules) const {
  if (rules.empty()) {
    return {};
  }
  FARLET_ASSIGN(const Program program, Compile(rules));
  UniqueFd loaded;
  if (program.Instructions() != preloaded_) {
    FARLET_ASSIGN(loaded, program.Load());
  }
  FARLET_ASSIGN(const UniqueFd folder, cgroup.OpenForAttach());
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(folder.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(loaded.valid() ? loaded.get() : program_.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (::syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) != 0) {
    return ErrnoError(errno, "attach the device filter to " + cgroup.path());
  }
  return {};
}

}  // namespace farlet::guest
