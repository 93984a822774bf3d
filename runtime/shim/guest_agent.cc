#include "runtime/shim/guest_agent.h"

#include <fmt/format.h>

#include <algorithm>

namespace farlet::shim {
namespace {

// What a guest says ends in a pod's event: bounded, and nothing that moves a cursor.
constexpr size_t kMaxMessage = 1024;

}  // namespace

Error GuestError(const std::string& method, Error error) {
  std::string message = std::move(error.message);
  const std::string prefix = fmt::format("{}/{}: ", kAgentService, method);
  if (message.starts_with(prefix)) {
    message.erase(0, prefix.size());
  }
  if (message.size() > kMaxMessage) {
    message.resize(kMaxMessage);
    message += "…";
  }
  std::replace_if(
      message.begin(), message.end(),
      [](char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f; }, ' ');
  error.message = fmt::format("guest {}: {}", method, message);
  return error;
}

std::shared_ptr<CpuTimer> GuestAgent::StartTimer(const std::string& method,
                                                 std::chrono::milliseconds deadline,
                                                 std::function<void(Error)> late) const {
  if (deadline == kNoDeadline) {
    return nullptr;
  }
  return CpuTimer::Start(
      io_, {.usual = deadline, .longest = kLongestAnswer}, waited_,
      [method, late = std::move(late)](std::chrono::nanoseconds took,
                                       std::chrono::nanoseconds /*waited*/) {
        late(MakeError(Code::kDeadlineExceeded,
                       fmt::format("guest {}: no answer from the VM within {:.0f} s", method,
                                   std::chrono::duration<double>(took).count())));
      });
}

}  // namespace farlet::shim
