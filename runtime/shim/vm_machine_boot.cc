// How a machine comes to be: the steps of Boot(), and those of a spare.
#include "runtime/base/file.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/cpu_wait.h"
#include "runtime/shim/file_server_process.h"
#include "runtime/shim/handshake.h"
#include "runtime/shim/machine_size.h"
#include "runtime/shim/template_command.h"
#include "runtime/shim/vm_machine.h"
#include "runtime/vm/net/pod_network.h"
#include "runtime/vm/vm_factory.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <future>
#include <system_error>
#include <utility>

namespace farlet::shim {
namespace {

constexpr mode_t kPrivateFolder = 0700;
// Of kLongestBoot: an error of the VM's own says more than that it took too long.
constexpr std::chrono::milliseconds kTimeToTell{500};

void Describe(const net::PodNetwork& network, guest::v1::PrepareRequest& request) {
  for (const auto& from : network.interfaces) {
    auto& to = *request.add_interfaces();
    to.set_name(from.name);
    to.set_mac(from.mac);
    to.set_mtu(from.mtu);
    *to.mutable_addresses() = {from.addresses.begin(), from.addresses.end()};
  }
  for (const auto& from : network.routes) {
    auto& to = *request.add_routes();
    // "" would be taken for IPv4's where only a device is named.
    const bool bare_default = from.destination.empty() && from.gateway.empty() && from.ipv6;
    to.set_destination(bare_default ? "::/0" : from.destination);
    to.set_gateway(from.gateway);
    to.set_device(from.device);
    to.set_source(from.source);
    to.set_scope(from.scope);
    to.set_onlink(from.onlink);
    to.set_metric(from.metric);
  }
  for (const auto& from : network.neighbors) {
    auto& to = *request.add_neighbors();
    to.set_address(from.address);
    to.set_device(from.device);
    to.set_mac(from.mac);
  }
}

// The machine, and what its host processes need beside it: QEMU's own memory, its translated code
// where it emulates, the file server and the shim; and a CPU for what they do for the guest.
HostLimits LimitsOfHostProcesses(vm::MachineSize size) {
  constexpr uint64_t kMemoryMib = 256;
  constexpr uint64_t kTasks = 1024;
  constexpr uint64_t kMilliPerCpu = 1000;
  return {.memory_bytes = (size.memory_mib + kMemoryMib) << 20,
          .milli_cpus = (size.vcpus + 1) * kMilliPerCpu,
          .tasks = kTasks};
}

}  // namespace

Status VmMachine::MakeFolders() {
  const std::lock_guard lock(mutex_);
  FARLET_ASSIGN(config_, vm::LoadHostConfig(options_.config));
  state_.work_dir = config_.run_dir / "pods" / options_.name;
  state_.disk = config_.cache_dir / "disks" / (options_.name + ".ext4");
  state_.netns = options_.pod.netns;
  FARLET_TRY(MakeDirectories(state_.disk.parent_path(), kPrivateFolder));
  // A start that was cut short may have left them.
  std::error_code ignored;
  std::filesystem::remove_all(state_.work_dir, ignored);
  std::filesystem::remove(state_.disk, ignored);
  return MakeDirectories(state_.work_dir, kPrivateFolder);
}

Result<VmMachine::Parts> VmMachine::MakeParts() {
  Parts parts;
  auto shares = std::async(std::launch::async, [] { return files::ShareTree::Create(); });
  if (!options_.pod.netns.empty()) {
    parts.network = net::Attach(options_.pod.netns);
  }
  parts.shares = shares.get();
  if (!parts.network) {
    return Wrap("pod network", std::move(parts.network).error());
  }
  if (!parts.shares) {
    return Wrap("file server", std::move(parts.shares).error());
  }
  return parts;
}

Result<std::shared_ptr<vm::Vm>> VmMachine::StartVm(UniqueFd tap,
                                                   std::chrono::steady_clock::time_point deadline) {
  FARLET_ASSIGN(const auto factory,
                vm::VmFactory::Create(config_, GuestHandshake(),
                                      [this](vm::MachineSize size, uint64_t disk_bytes) {
                                        Enter("its first template is being built");
                                        building_ = true;
                                        return SpawnTemplateBuilder(size, disk_bytes);
                                      }));
  vm::VmOptions vm_options;
  vm_options.size = options_.size.value_or(size());
  LimitCgroups(state_.cgroups, LimitsOfHostProcesses(vm_options.size));
  vm_options.disk =
      vm::WritableDisk{.path = state_.disk, .bytes = DiskBytesOf(options_.pod, config_)};
  vm_options.tap = std::move(tap);
  vm_options.work_dir = state_.work_dir;
  vm_options.deadline = deadline;
  // QEMU inherits the shim's cgroup.
  FARLET_ASSIGN(std::unique_ptr<vm::Vm> vm, factory->Start(std::move(vm_options)));
  return std::shared_ptr<vm::Vm>(std::move(vm));
}

Status VmMachine::Adopt(const std::shared_ptr<vm::Vm>& vm,
                        const std::shared_ptr<files::ShareTree>& tree) {
  const std::lock_guard lock(mutex_);
  if (released_) {
    return Cancelled("start the VM: the pod is being removed");
  }
  vm_ = vm;
  tree_ = tree;
  state_.qemu = IdOf(vm->pid()).value_or(ProcessId{});
  return {};
}

Status VmMachine::StartFileServer(vm::Vm& vm, const files::ShareTree& tree) {
  FARLET_ASSIGN(const pid_t pid, SpawnFileServer(vm.TakeFiles(), tree.namespace_fd()));
  const std::lock_guard lock(mutex_);
  if (released_) {
    EndFileServer(pid);
    return Cancelled("the pod is being removed");
  }
  file_server_ = pid;
  file_server_exit_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  state_.file_server = IdOf(pid).value_or(ProcessId{});
  return {};
}

Status VmMachine::StartAll(UniqueFd tap, std::shared_ptr<files::ShareTree> tree) {
  const auto deadline = std::chrono::steady_clock::now() + kLongestBoot - kTimeToTell;
  Enter("QEMU and its guest are starting");
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, StartVm(std::move(tap), deadline));
  // QEMU has it open: from here on it goes when QEMU goes, however that ends.
  ::unlink(state_.disk.c_str());
  Enter("its file server is being attached");
  FARLET_TRY(Adopt(vm, tree));
  FARLET_TRY(Annotate(StartFileServer(*vm, *tree), "file server"));
  return Record();
}

Result<BootedMachine> VmMachine::Boot() {
  Enter("its network is being made");
  if (spare_tap_) {
    return BootAssigned();
  }
  FARLET_TRY(MakeFolders());
  FARLET_TRY(Record());
  FARLET_ASSIGN(Parts parts, MakeParts());
  auto& interfaces = parts.network->interfaces;
  UniqueFd tap = interfaces.empty() ? UniqueFd() : std::move(interfaces.front().tap);
  FARLET_TRY(StartAll(std::move(tap), std::move(*parts.shares)));
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  return Booted(*vm, vm->TakeAgent(), *parts.network);
}

BootedMachine VmMachine::Booted(vm::Vm& vm, UniqueFd agent, const net::PodNetwork& network) const {
  return BootedMachine{.pid = vm.pid(),
                       .agent = std::move(agent),
                       .exit_fd = vm.exit_fd(),
                       .files_exit_fd = FileServerExit(),
                       .identity = Identity(network)};
}

Result<VmMachine::Lent> VmMachine::BootSpare() {
  FARLET_TRY(MakeFolders());
  FARLET_TRY(Record());
  FARLET_ASSIGN(spare_tap_, net::MakeSpareTap());
  FARLET_ASSIGN(std::shared_ptr<files::ShareTree> tree, files::ShareTree::Create());
  FARLET_TRY(StartAll(std::move(spare_tap_->tap), std::move(tree)));
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  spare_agent_ = vm->TakeAgent();
  return Lent{
      .agent = spare_agent_.get(), .exit_fd = vm->exit_fd(), .files_exit_fd = FileServerExit()};
}

void VmMachine::Assign(PodSpec pod, HostState state) {
  const std::lock_guard lock(mutex_);
  state.qemu = state_.qemu;
  state.file_server = state_.file_server;
  state.work_dir = state_.work_dir;
  state.disk = state_.disk;
  state.netns = pod.netns;
  state_ = std::move(state);
  options_.pod = std::move(pod);
  building_ = false;
  waited_before_ = CpuWait();
}

Result<BootedMachine> VmMachine::BootAssigned() {
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  FARLET_TRY(Record());
  LimitCgroups(state_.cgroups, LimitsOfHostProcesses(size()));
  FARLET_TRY(vm->Resume());
  net::PodNetwork network;
  if (!options_.pod.netns.empty()) {
    FARLET_ASSIGN(network, Annotate(net::Attach(options_.pod.netns, &*spare_tap_), "pod network"));
  }
  return Booted(*vm, std::move(spare_agent_), network);
}

guest::v1::PrepareRequest VmMachine::Identity(const net::PodNetwork& network) const {
  const PodSpec& pod = options_.pod;
  guest::v1::PrepareRequest request;
  request.set_hostname(pod.hostname);
  Describe(network, request);
  *request.mutable_sysctls() = {pod.sysctls.begin(), pod.sysctls.end()};
  request.set_memory_limit_bytes(pod.memory_limit);
  request.set_cpu_quota_us(pod.cpu_quota);
  request.set_cpu_period_us(pod.cpu_period);
  request.set_writable_device(vm::kWritableDevice);
  return request;
}

}  // namespace farlet::shim
