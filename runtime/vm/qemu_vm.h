#pragma once

#include "runtime/vm/bounded_log.h"
#include "runtime/vm/machine.h"
#include "runtime/vm/process.h"
#include "runtime/vm/qmp_client.h"
#include "runtime/vm/vm.h"
#include "runtime/vm/watcher.h"

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace farlet::vm {

// What QEMU is started from.
struct QemuLaunch {
  std::filesystem::path qemu;
  std::filesystem::path kernel;
  std::filesystem::path initramfs;
  // Gives memory back while the machine rests (see runtime/vm/translation); empty: none.
  std::filesystem::path translation_plugin;
  MachineSpec spec;
  MemoryKind memory = MemoryKind::kPrivate;
  // The memory's file: written if kTemplate, only read if kClone, none if kPrivate.
  UniqueFd memory_file;
  // The saved state to start from (kClone) or the file to save it in (kTemplate).
  UniqueFd state_file;
  // Makes the writable disk, padded to the slot, while QEMU starts; none: no disk.
  std::function<Result<UniqueFd>()> make_disk;
  VmOptions options;
};

// A QEMU process and the guest in it. The machine runs when Launch returns: at the kernel's start,
// or, as a clone, where the template was stopped.
class QemuVm final : public Vm {
 public:
  static Result<std::unique_ptr<QemuVm>> Launch(QemuLaunch launch);

  ~QemuVm() override;

  pid_t pid() const override { return process_.pid(); }

  UniqueFd TakeAgent() override;
  UniqueFd TakeFiles() override;
  Result<std::string> AttachImage(const std::filesystem::path& image) override;
  Status Pause() override;
  Status Resume() override;

  int exit_fd() const override { return process_.pidfd(); }

  std::string ExitReason() const override;
  Status Kill() override;

  // For the handshake; they stay the VM's.
  int agent() const { return agent_.get(); }

  int files() const { return files_.get(); }

  // Until the guest has opened its agent port. Fails early when the machine is gone.
  Status AwaitAgent(std::chrono::steady_clock::time_point deadline);

  // For an error: ExitReason, or what the console says of a machine that runs and should answer.
  std::string EndOrConsole() const;

  // Stops the machine for good and writes its state, without the memory, to the launch's
  // state_file.
  Status Save();

 private:
  struct Ends;

  QemuVm(ConfinedProcess process, Ends ends, UniqueFd state_file, const VmOptions& options);

  Status Watch(std::map<std::string, OpenBroker::Answer> answers);
  // Waits for QEMU and gives it the writable disk.
  Status Connect(const QemuLaunch& launch);
  Status Restore();
  // Runs a command that moves state, and waits for its end.
  Status Migrate(std::string_view command);
  Result<bool> AgentIsOpen();
  Status Attach(size_t slot, int fd, bool read_only);
  // Moves what is there from a socket to a log. False at the end of the stream.
  bool Drain(int fd, BoundedLog& log) const;

  ConfinedProcess process_;
  UniqueFd agent_;
  UniqueFd files_;
  UniqueFd console_;
  UniqueFd messages_;
  UniqueFd state_file_;
  QmpClient qmp_;
  mutable std::mutex drain_mutex_;  // from reading to logging, so that nothing is lost or mixed up
  mutable BoundedLog console_log_;
  mutable BoundedLog message_log_;
  std::unique_ptr<OpenBroker> broker_;

  std::mutex disks_mutex_;  // held while a disk is attached; guards what follows
  std::vector<std::pair<dev_t, ino_t>> images_;  // by slot, from 1

  std::unique_ptr<Watcher> watcher_;  // last: its handlers use the rest
};

}  // namespace farlet::vm
