#include "runtime/vm/net/loopback_program.h"

#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace farlet::net {
namespace {

constexpr uint32_t kIpv4Slot = 0;
constexpr uint32_t kIpv6Slot = 1;
// What the verifier says goes into the error; enough for its last line.
constexpr size_t kLogBytes = 16 << 10;

int Bpf(bpf_cmd command, bpf_attr& attribute) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attribute, sizeof(attribute)));
}

Error BpfError(int saved_errno, std::string_view what) {
  Error error = ErrnoError(saved_errno, what);
  if (saved_errno == ENOSYS || saved_errno == EINVAL) {
    error.code = Code::kUnimplemented;
    error.message += " (needs Linux 5.9 with BPF)";
  }
  return error;
}

uint64_t PointerNumber(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

Result<UniqueFd> MakeSocketMap(int ipv4, int ipv6) {
  bpf_attr create{};
  create.map_type = BPF_MAP_TYPE_SOCKMAP;
  create.key_size = sizeof(uint32_t);
  create.value_size = sizeof(uint64_t);
  create.max_entries = 2;
  UniqueFd map(Bpf(BPF_MAP_CREATE, create));
  if (!map.valid()) {
    return BpfError(errno, "make BPF socket map");
  }
  const std::array<int, 2> sockets{ipv4, ipv6};
  for (uint32_t slot = 0; slot < sockets.size(); ++slot) {
    if (sockets.at(slot) < 0) {
      continue;
    }
    const auto socket = static_cast<uint64_t>(sockets.at(slot));
    bpf_attr update{};
    update.map_fd = static_cast<uint32_t>(map.get());
    update.key = PointerNumber(&slot);
    update.value = PointerNumber(&socket);
    if (Bpf(BPF_MAP_UPDATE_ELEM, update) != 0) {
      return BpfError(errno, "put listener into BPF socket map");
    }
  }
  return map;
}

bpf_insn Instruction(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
  bpf_insn instruction{};
  instruction.code = code;
  instruction.dst_reg = to & 0xfU;
  instruction.src_reg = from & 0xfU;
  instruction.off = offset;
  instruction.imm = value;
  return instruction;
}

// The operands of an instruction are or'ed together as in the kernel's documentation, also those
// that are 0.
// NOLINTBEGIN(misc-redundant-expression)
// An assembler with labels that are resolved backwards: enough for one small program.
class Assembler {
 public:
  enum Label { kPass, kIpv6, kFind, kLabels };

  // to = u32 at context (r6) + offset
  void LoadField(uint8_t to, size_t offset) {
    Put(BPF_LDX | BPF_MEM | BPF_W, to, BPF_REG_6, static_cast<int16_t>(offset), 0);
  }

  void Move(uint8_t to, uint8_t from) { Put(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }

  void Set(uint8_t to, int32_t value) { Put(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }

  void Add(uint8_t to, int32_t value) { Put(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }

  void And(uint8_t to, uint32_t value) {
    Put(BPF_ALU | BPF_AND | BPF_K, to, 0, 0, static_cast<int32_t>(value));
  }

  void GotoIfNot(uint8_t reg, uint32_t value, Label label) {
    Jump(BPF_JMP32 | BPF_JNE | BPF_K, reg, value, label);
  }

  void GotoIf(uint8_t reg, uint32_t value, Label label) {
    Jump(BPF_JMP32 | BPF_JEQ | BPF_K, reg, value, label);
  }

  void GotoIfNull(uint8_t reg, Label label) { Jump(BPF_JMP | BPF_JEQ | BPF_K, reg, 0, label); }

  void Goto(Label label) { Jump(BPF_JMP | BPF_JA, 0, 0, label); }

  void StoreOnStack(int16_t offset, uint8_t from) {
    Put(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, from, offset, 0);
  }

  void LoadMap(uint8_t to, int map) {
    Put(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map);
    Put(0, 0, 0, 0, 0);  // upper half
  }

  void Call(bpf_func_id function) { Put(BPF_JMP | BPF_CALL, 0, 0, 0, function); }

  void Exit() { Put(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

  void Here(Label label) { labels_.at(label) = code_.size(); }

  std::vector<bpf_insn> Finish() {
    for (const auto& [position, label] : jumps_) {
      code_[position].off = static_cast<int16_t>(labels_.at(label) - position - 1);
    }
    return code_;
  }

 private:
  void Put(uint8_t code, uint8_t to, uint8_t from, int16_t offset, int32_t value) {
    code_.push_back(Instruction(code, to, from, offset, value));
  }

  void Jump(uint8_t code, uint8_t reg, uint32_t value, Label label) {
    jumps_.emplace_back(code_.size(), label);
    Put(code, reg, 0, 0, static_cast<int32_t>(value));
  }

  std::vector<bpf_insn> code_;
  std::vector<std::pair<size_t, Label>> jumps_;
  std::array<size_t, kLabels> labels_{};
};

// NOLINTEND(misc-redundant-expression)

// Addresses are in network order in struct bpf_sk_lookup.
std::vector<bpf_insn> Program(int map) {
  Assembler code;
  code.Move(BPF_REG_6, BPF_REG_1);
  code.LoadField(BPF_REG_2, offsetof(bpf_sk_lookup, protocol));
  code.GotoIfNot(BPF_REG_2, IPPROTO_TCP, Assembler::kPass);
  code.LoadField(BPF_REG_2, offsetof(bpf_sk_lookup, family));
  code.GotoIf(BPF_REG_2, AF_INET6, Assembler::kIpv6);
  code.GotoIfNot(BPF_REG_2, AF_INET, Assembler::kPass);
  code.LoadField(BPF_REG_2, offsetof(bpf_sk_lookup, local_ip4));
  code.And(BPF_REG_2, htonl(IN_CLASSA_NET));
  code.GotoIfNot(BPF_REG_2, htonl(INADDR_LOOPBACK & IN_CLASSA_NET), Assembler::kPass);
  code.Set(BPF_REG_2, kIpv4Slot);
  code.Goto(Assembler::kFind);

  code.Here(Assembler::kIpv6);
  for (size_t word = 0; word < 4; ++word) {
    code.LoadField(BPF_REG_2, offsetof(bpf_sk_lookup, local_ip6) + word * sizeof(uint32_t));
    code.GotoIfNot(BPF_REG_2, word == 3 ? htonl(1) : 0, Assembler::kPass);
  }
  code.Set(BPF_REG_2, kIpv6Slot);

  code.Here(Assembler::kFind);
  code.StoreOnStack(-4, BPF_REG_2);
  code.LoadMap(BPF_REG_1, map);
  code.Move(BPF_REG_2, BPF_REG_10);
  code.Add(BPF_REG_2, -4);
  code.Call(BPF_FUNC_map_lookup_elem);
  code.GotoIfNull(BPF_REG_0, Assembler::kPass);
  code.Move(BPF_REG_7, BPF_REG_0);
  code.Move(BPF_REG_1, BPF_REG_6);
  code.Move(BPF_REG_2, BPF_REG_7);
  code.Set(BPF_REG_3, 0);
  code.Call(BPF_FUNC_sk_assign);
  code.Move(BPF_REG_1, BPF_REG_7);
  code.Call(BPF_FUNC_sk_release);

  code.Here(Assembler::kPass);
  code.Set(BPF_REG_0, SK_PASS);
  code.Exit();
  return code.Finish();
}

Result<UniqueFd> LoadProgram(int map) {
  const std::vector<bpf_insn> code = Program(map);
  const std::string license = "Apache-2.0";
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_SK_LOOKUP;
  load.expected_attach_type = BPF_SK_LOOKUP;
  load.insns = PointerNumber(code.data());
  load.insn_cnt = static_cast<uint32_t>(code.size());
  load.license = PointerNumber(license.c_str());
  UniqueFd program(Bpf(BPF_PROG_LOAD, load));
  if (program.valid()) {
    return program;
  }
  Error error = BpfError(errno, "load BPF program for loopback connections");
  std::string log(kLogBytes, '\0');
  load.log_buf = PointerNumber(log.data());
  load.log_size = static_cast<uint32_t>(log.size());
  load.log_level = 1;
  program = UniqueFd(Bpf(BPF_PROG_LOAD, load));
  if (program.valid()) {
    return program;
  }
  log.resize(log.find('\0') == std::string::npos ? log.size() : log.find('\0'));
  if (!log.empty()) {
    error.message += ": " + log.substr(log.size() - std::min<size_t>(log.size(), 300));
  }
  return error;
}

}  // namespace

Result<UniqueFd> AttachLoopbackProgram(int netns, int ipv4, int ipv6) {
  FARLET_ASSIGN(const UniqueFd map, MakeSocketMap(ipv4, ipv6));
  FARLET_ASSIGN(const UniqueFd program, LoadProgram(map.get()));
  bpf_attr attach{};
  attach.link_create.prog_fd = static_cast<uint32_t>(program.get());
  attach.link_create.target_fd = static_cast<uint32_t>(netns);
  attach.link_create.attach_type = BPF_SK_LOOKUP;
  UniqueFd link(Bpf(BPF_LINK_CREATE, attach));
  if (!link.valid()) {
    return BpfError(errno, "attach BPF program to network namespace");
  }
  return link;
}

}  // namespace farlet::net
