#include "runtime/shim/pool/take_spare.h"

#include "runtime/shim/machine_size.h"
#include "runtime/shim/pool/handover.h"
#include "runtime/shim/pool/waiting.h"
#include "runtime/shim/spawn.h"
#include "runtime/shim/spec/pod_spec.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace {

Result<Offer> MakeOffer(const CommandLine& line, const UniqueFd& listening) {
  Offer offer{.line = line, .environment = OwnEnvironment()};
  offer.listening = UniqueFd(::fcntl(listening.get(), F_DUPFD_CLOEXEC, 3));
  offer.bundle = UniqueFd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!offer.listening.valid() || !offer.bundle.valid()) {
    return ErrnoError(errno, "make an offer to a spare");
  }
  return offer;
}

}  // namespace

Result<pid_t> TakeSpare(const CommandLine& line, const Document& spec, const UniqueFd& listening) {
  const std::filesystem::path config_path = vm::HostConfigPath("");
  FARLET_ASSIGN(const vm::HostConfig config, vm::LoadHostConfig(config_path));
  if (!config.HasPool()) {
    return NotFound("there is no pool");
  }
  FARLET_ASSIGN(const PodSpec pod, ReadPodSpec(spec, line.id));
  if (DiskBytesOf(pod, config) != config.ephemeral_storage_bytes) {
    return NotFound("spares have the usual disk");
  }
  FARLET_ASSIGN(const std::filesystem::path folder, PoolFolder(config_path, line.address));
  FARLET_ASSIGN(const Offer offer, MakeOffer(line, listening));
  const vm::MachineSize size = MachineSizeOf(pod, config);
  for (const WaitingSpare& spare : SparesIn(folder)) {
    if (spare.size == size) {
      if (auto pid = HandOver(spare.socket, offer)) {
        return pid;
      }
    }
  }
  return NotFound("no spare of this size waits");
}

}  // namespace farlet::shim
