#include "runtime/shim/pool/fill_command.h"

#include "runtime/base/file.h"
#include "runtime/base/file_lock.h"
#include "runtime/base/log.h"
#include "runtime/shim/background_command.h"
#include "runtime/shim/machine_flags.h"
#include "runtime/shim/pool/handover.h"
#include "runtime/shim/pool/spare_command.h"
#include "runtime/shim/pool/waiting.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

struct Plan {
  path config_path;
  size_t wanted = 0;
  vm::MachineSize size;  // of those that are made
};

// One that fills, and one that waits to fill: who comes third would do no more than the second.
Result<std::optional<UniqueFd>> TakeTurn(const path& folder) {
  FARLET_ASSIGN(std::optional<UniqueFd> next, TryLockFile(folder / "next", LockKind::kExclusive));
  if (!next) {
    return next;
  }
  FARLET_ASSIGN(UniqueFd turn, LockFile(folder / "turn", LockKind::kExclusive));
  return std::optional(std::move(turn));
}

// Of configurations and programs of the past: their spares have ended by themselves, or were
// killed.
void RemoveOtherFolders(const path& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entry(folder.parent_path(), error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (entry->path() == folder) {
      continue;
    }
    (void)LivingSparesIn(entry->path());  // removes the dead
    if (!SparesIn(entry->path()).empty()) {
      continue;
    }
    // Who has just made it for his first spare has the lock.
    std::error_code ignored;
    const auto turn = TryLockFile(entry->path() / "turn", LockKind::kExclusive);
    if (turn && *turn) {
      std::filesystem::remove_all(entry->path(), ignored);
    }
  }
}

// Ends early when the configuration is changed meanwhile: whoever starts next fills by the new one.
Status Fill(const path& folder, const Plan& plan, const std::string& address) {
  for (;;) {
    FARLET_ASSIGN(const path now, PoolFolder(plan.config_path, address));
    if (now != folder) {
      return {};
    }
    const std::vector<WaitingSpare> spares = LivingSparesIn(folder);
    if (spares.size() >= plan.wanted) {
      const bool has_one = std::ranges::any_of(
          spares, [&](const WaitingSpare& spare) { return spare.size == plan.size; });
      if (has_one) {
        return {};
      }
      if (const Status told = TellToEnd(spares.front().socket); !told) {
        log::Info("a spare has gone by itself", {{"error", told.error()}});
      }
    }
    FARLET_TRY(MakeSpare(plan.size, address));
  }
}

}  // namespace

Status SpawnPoolFiller(vm::MachineSize size, const std::string& containerd_address) {
  std::vector<std::string> arguments = SizeFlags(size);
  arguments.insert(arguments.end(), {"-address", containerd_address, "-background", "pool"});
  return SpawnInBackground(std::move(arguments), {}, "fill the pool");
}

Status RunPoolFiller(const CommandLine& line) {
  LeavePod(line);
  const path config_path = vm::HostConfigPath("");
  FARLET_ASSIGN(const vm::HostConfig config, vm::LoadHostConfig(config_path));
  if (!config.HasPool()) {
    return {};
  }
  FARLET_ASSIGN(const vm::MachineSize size, SizeFromFlags(line, config));
  FARLET_ASSIGN(const path folder, PoolFolder(config_path, line.address));
  FARLET_TRY(MakeDirectories(folder, 0700));
  FARLET_ASSIGN(const std::optional<UniqueFd> turn, TakeTurn(folder));
  if (!turn) {
    return {};
  }
  RemoveOtherFolders(folder);
  return Fill(folder, {.config_path = config_path, .wanted = config.pool_size, .size = size},
              line.address);
}

}  // namespace farlet::shim
