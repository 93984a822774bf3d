#include "runtime/shim/identity.h"

#include <fmt/format.h>

#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <string>

namespace farlet::shim {
namespace {

constexpr size_t kSeedBytes = 64;
constexpr size_t kMachineIdBytes = 16;

Result<std::string> RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(count)) {
    return ErrnoError(errno, "get random bytes");
  }
  return bytes;
}

}  // namespace

Status MakeUnique(guest::v1::PrepareRequest& identity, const Clock& clock) {
  FARLET_ASSIGN(*identity.mutable_seed(), RandomBytes(kSeedBytes));
  FARLET_ASSIGN(const std::string machine_id, RandomBytes(kMachineIdBytes));
  identity.clear_machine_id();
  for (const char byte : machine_id) {
    *identity.mutable_machine_id() += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  }
  identity.set_wall_time_ns(
      std::chrono::duration_cast<std::chrono::nanoseconds>(clock.WallNow().time_since_epoch())
          .count());
  return {};
}

}  // namespace farlet::shim
