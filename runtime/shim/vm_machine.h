#pragma once

#include "runtime/base/fd.h"
#include "runtime/shim/machine.h"
#include "runtime/shim/spec/pod_spec.h"
#include "runtime/shim/state_file.h"
#include "runtime/vm/disk/image_cache.h"
#include "runtime/vm/files/share_tree.h"
#include "runtime/vm/host_config.h"
#include "runtime/vm/net/loopback_forwarder.h"
#include "runtime/vm/net/pod_network.h"
#include "runtime/vm/vm.h"

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace farlet::shim {

// The real thing: a QEMU microVM with tap, writable disk, image slots and file server.
//
// Boot() in this order, with what has no order at the same time:
//
//   tap and redirects ─┬─▶ VM with its writable disk (clone or boot) ─▶ file server on its port
//   share tree        ─┘
//
// A spare (see pool/) has been through this before there was a pod, with a tap that led nowhere:
//
//   BootSpare() … Assign(pod) … Boot(): the tap moves into the pod's network
class VmMachine final : public Machine {
 public:
  struct Options {
    std::filesystem::path config;  // of the host; see vm::HostConfigPath
    std::string name;              // unique on the host, a file name
    PodSpec pod;
    HostState state;                                     // what the shim has made before
    std::optional<vm::MachineSize> size = std::nullopt;  // else what the pod asks for
  };

  explicit VmMachine(Options options);
  ~VmMachine() override;

  // Descriptors that stay the machine's.
  struct Lent {
    int agent = -1;  // the port of the guest's agent
    int exit_fd = -1;
    int files_exit_fd = -1;  // see BootedMachine
  };

  // Instead of Boot(), for a pod to come. The machine runs, unless Pause() stops it until then.
  Result<Lent> BootSpare();
  // The pod that a spare is for, before Boot(); `state`: what was made for that pod before.
  void Assign(PodSpec pod, HostState state);

  Result<BootedMachine> Boot() override;
  std::string Stage() const override;
  std::chrono::nanoseconds WaitedForCpu() const override;
  Result<std::vector<guest::v1::Layer>> PlaceRootfs(
      const std::vector<RootfsMount>& mounts) override;
  Result<std::string> Share(const SharedPath& path) override;
  void Unshare(const SharedPath& path) override;
  Status ForwardLoopback(ConnectionHandler handler) override;
  Status Pause() override;
  Status Resume() override;
  std::string ExitReason() const override;
  Status Kill() override;
  void Release() override;

  // After Boot().
  vm::MachineSize size() const;
  bool HasPool() const;

  // What there may be on the host by now, for whoever removes it after Release().
  HostState host_state() const;

 private:
  struct Entry {
    files::Share share;
    int users = 0;
  };

  // Parts that are made before the VM.
  struct Parts {
    Result<net::PodNetwork> network = net::PodNetwork();
    Result<std::unique_ptr<files::ShareTree>> shares = std::unique_ptr<files::ShareTree>();
  };

  void Enter(std::string stage);
  Status MakeFolders();
  Status Record();
  Result<Parts> MakeParts();
  Result<std::shared_ptr<vm::Vm>> StartVm(UniqueFd tap,
                                          std::chrono::steady_clock::time_point deadline);
  // From here on VM and file server run.
  Status StartAll(UniqueFd tap, std::shared_ptr<files::ShareTree> tree);
  // kCancelled after Release(), which knows nothing of what comes later.
  Status Adopt(const std::shared_ptr<vm::Vm>& vm, const std::shared_ptr<files::ShareTree>& tree);
  Status StartFileServer(vm::Vm& vm, const files::ShareTree& tree);
  int FileServerExit() const;
  guest::v1::PrepareRequest Identity(const net::PodNetwork& network) const;
  Result<BootedMachine> BootAssigned();
  BootedMachine Booted(vm::Vm& vm, UniqueFd agent, const net::PodNetwork& network) const;
  Result<std::shared_ptr<vm::Vm>> Running() const;
  Result<guest::v1::Layer> PlaceImage(const std::vector<std::filesystem::path>& lowerdirs);
  Result<guest::v1::Layer> PlaceShare(const std::filesystem::path& folder);

  Options options_;           // changed by Assign() only, when nobody else is there
  mutable std::mutex mutex_;  // guards all below
  vm::HostConfig config_;
  HostState state_;
  std::shared_ptr<vm::Vm> vm_;
  std::shared_ptr<files::ShareTree> tree_;
  pid_t file_server_ = 0;
  UniqueFd file_server_exit_;
  std::unique_ptr<net::LoopbackForwarder> forwarder_;
  std::map<SharedPath, Entry> shares_;
  std::vector<disk::LeasedImage> leases_;
  std::string stage_;
  std::atomic<bool> building_ = false;
  bool released_ = false;

  // Of a spare.
  std::optional<net::SpareTap> spare_tap_;
  UniqueFd spare_agent_;
  std::chrono::nanoseconds waited_before_{0};  // when it got its pod
};

// Whom an overlay's "lowerdir=a:b:c" names, topmost first; what has no such option names nothing.
// Backslashes escape colons.
std::vector<std::filesystem::path> LowerDirs(const std::vector<std::string>& options);

}  // namespace farlet::shim
