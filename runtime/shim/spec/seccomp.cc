#include "runtime/shim/spec/seccomp.h"

#include <utility>

namespace farlet::shim {
namespace {

constexpr uint64_t kMaxErrno = 4095;
constexpr uint64_t kMaxArgument = 5;

void TranslateRule(const Cursor& from, guest::v1::SeccompSyscall& to) {
  for (auto& name : from["names"].Texts()) {
    to.add_names(std::move(name));
  }
  to.set_action(from["action"].Text());
  if (!from["errnoRet"].empty()) {
    to.set_errno_ret(static_cast<uint32_t>(from["errnoRet"].Unsigned(kMaxErrno)));
  }
  from["args"].EachItem([&](const Cursor& item) {
    auto* const argument = to.add_args();
    argument->set_index(static_cast<uint32_t>(item["index"].Unsigned(kMaxArgument)));
    argument->set_value(item["value"].Unsigned());
    argument->set_value_two(item["valueTwo"].Unsigned());
    argument->set_op(item["op"].Text());
  });
}

}  // namespace

guest::v1::Seccomp TranslateSeccomp(const Cursor& seccomp) {
  guest::v1::Seccomp to;
  to.set_default_action(seccomp["defaultAction"].Text());
  if (!seccomp["defaultErrnoRet"].empty()) {
    to.set_default_errno_ret(static_cast<uint32_t>(seccomp["defaultErrnoRet"].Unsigned(kMaxErrno)));
  }
  if (!seccomp["listenerPath"].Text().empty()) {
    seccomp["listenerPath"].Refuse("a listener on the host cannot watch a process in a VM");
  }
  for (auto& name : seccomp["architectures"].Texts()) {
    to.add_architectures(std::move(name));
  }
  for (auto& flag : seccomp["flags"].Texts()) {
    to.add_flags(std::move(flag));
  }
  seccomp["syscalls"].EachItem(
      [&](const Cursor& item) { TranslateRule(item, *to.add_syscalls()); });
  return to;
}

}  // namespace farlet::shim
