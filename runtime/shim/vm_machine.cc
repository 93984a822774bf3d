#include "runtime/shim/vm_machine.h"

#include "runtime/base/log.h"
#include "runtime/shim/cpu_wait.h"
#include "runtime/shim/file_server_process.h"
#include "runtime/shim/machine_size.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace farlet::shim {
namespace {

using std::filesystem::path;

// "a:b:c", in which a backslash escapes what follows; empty parts count for nothing.
void SplitFolders(std::string_view list, std::vector<path>& folders) {
  std::string folder;
  for (size_t i = 0; i <= list.size(); ++i) {
    if (i == list.size() || list[i] == ':') {
      if (!folder.empty()) {
        folders.emplace_back(std::exchange(folder, {}));
      }
      continue;
    }
    if (list[i] == '\\' && i + 1 < list.size()) {
      ++i;
    }
    folder += list[i];
  }
}

}  // namespace

std::vector<path> LowerDirs(const std::vector<std::string>& options) {
  constexpr std::string_view kKey = "lowerdir=";
  std::vector<path> folders;
  for (const std::string& option : options) {
    if (option.starts_with(kKey)) {
      SplitFolders(std::string_view(option).substr(kKey.size()), folders);
    }
  }
  return folders;
}

VmMachine::VmMachine(Options options) : options_(std::move(options)), state_(options_.state) {}

VmMachine::~VmMachine() {
  Release();
}

vm::MachineSize VmMachine::size() const {
  return MachineSizeOf(options_.pod, config_);
}

bool VmMachine::HasPool() const {
  return config_.HasPool();
}

HostState VmMachine::host_state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Status VmMachine::Record() {
  const std::lock_guard lock(mutex_);
  return WriteState(state_);
}

void VmMachine::Enter(std::string stage) {
  const std::lock_guard lock(mutex_);
  stage_ = std::move(stage);
}

std::string VmMachine::Stage() const {
  const std::lock_guard lock(mutex_);
  return stage_;
}

std::chrono::nanoseconds VmMachine::WaitedForCpu() const {
  // The builder is no child of ours, and ends by itself: when it fails, the VM boots.
  return building_ ? std::chrono::nanoseconds(kLongestBoot) : CpuWait() - waited_before_;
}

int VmMachine::FileServerExit() const {
  const std::lock_guard lock(mutex_);
  return file_server_exit_.get();
}

Result<std::shared_ptr<vm::Vm>> VmMachine::Running() const {
  const std::lock_guard lock(mutex_);
  if (!vm_) {
    return Unavailable("the VM does not run");
  }
  return vm_;
}

Result<guest::v1::Layer> VmMachine::PlaceImage(const std::vector<path>& lowerdirs) {
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  disk::ImageCache cache({.folder = config_.cache_dir / "images",
                          .slot_bytes = vm::kImageSlotBytes,
                          .max_bytes = config_.image_cache_bytes});
  FARLET_ASSIGN(disk::LeasedImage image, cache.Ensure(lowerdirs));
  FARLET_ASSIGN(const std::string device, vm->AttachImage(image.path));
  guest::v1::Layer layer;
  layer.set_image_device(device);
  const std::lock_guard lock(mutex_);
  // One that is attached already stays leased for the VM's life anyway.
  const bool known = std::any_of(leases_.begin(), leases_.end(),
                                 [&](const auto& lease) { return lease.path == image.path; });
  if (!known) {
    leases_.push_back(std::move(image));
  }
  return layer;
}

Result<guest::v1::Layer> VmMachine::PlaceShare(const path& folder) {
  FARLET_ASSIGN(const std::string shared, Share({.host_path = folder, .readonly = true}));
  guest::v1::Layer layer;
  layer.set_share_path(shared);
  return layer;
}

Result<std::vector<guest::v1::Layer>> VmMachine::PlaceRootfs(
    const std::vector<RootfsMount>& mounts) {
  if (mounts.size() != 1) {
    return InvalidArgument(fmt::format("{} mounts: one is expected", mounts.size()));
  }
  const RootfsMount& mount = mounts.front();
  std::vector<path> lowerdirs;
  if (mount.type == "overlay") {
    lowerdirs = LowerDirs(mount.options);
  } else if (mount.type == "bind" || mount.type == "rbind") {
    lowerdirs = {mount.source};
  }
  if (lowerdirs.empty()) {
    return MakeError(Code::kUnimplemented,
                     fmt::format("a mount of type {} cannot be brought into a VM", mount.type));
  }
  auto image = PlaceImage(lowerdirs);
  if (image) {
    return std::vector{std::move(*image)};
  }
  // No slot, no disk space, an image that is too large: slower, but it works.
  log::Warning("a root file system goes through the file server", {{"error", image.error()}});
  std::vector<guest::v1::Layer> layers;
  for (const path& folder : lowerdirs) {
    FARLET_ASSIGN(auto layer, PlaceShare(folder));
    layers.push_back(std::move(layer));
  }
  return layers;
}

Result<std::string> VmMachine::Share(const SharedPath& path) {
  const std::lock_guard lock(mutex_);
  if (!tree_) {
    return Unavailable("the file server does not run");
  }
  if (const auto found = shares_.find(path); found != shares_.end()) {
    ++found->second.users;
    return found->second.share.path;
  }
  const files::ShareOptions options{.read_only = path.readonly,
                                    .writable_below = path.writable_below};
  FARLET_ASSIGN(files::Share share, tree_->Add(path.host_path, options));
  std::string shared = share.path;
  shares_[path] = {.share = std::move(share), .users = 1};
  return shared;
}

void VmMachine::Unshare(const SharedPath& path) {
  const std::lock_guard lock(mutex_);
  const auto found = shares_.find(path);
  if (found == shares_.end() || --found->second.users > 0) {
    return;
  }
  if (tree_) {
    if (const Status removed = tree_->Remove(found->second.share.number); !removed) {
      log::Warning("a share stays until the pod ends", {{"error", removed.error()}});
    }
  }
  shares_.erase(found);
}

Status VmMachine::ForwardLoopback(ConnectionHandler handler) {
  if (options_.pod.netns.empty()) {
    return {};
  }
  FARLET_ASSIGN(auto forwarder,
                net::LoopbackForwarder::Start(options_.pod.netns, std::move(handler)));
  const std::lock_guard lock(mutex_);
  forwarder_ = std::move(forwarder);
  return {};
}

Status VmMachine::Pause() {
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  return vm->Pause();
}

Status VmMachine::Resume() {
  FARLET_ASSIGN(const std::shared_ptr<vm::Vm> vm, Running());
  return vm->Resume();
}

std::string VmMachine::ExitReason() const {
  const Result<std::shared_ptr<vm::Vm>> vm = Running();
  return vm ? (*vm)->ExitReason() : "it never ran";
}

Status VmMachine::Kill() {
  const Result<std::shared_ptr<vm::Vm>> vm = Running();
  return vm ? (*vm)->Kill() : Status();
}

void VmMachine::Release() {
  std::shared_ptr<vm::Vm> vm;
  std::unique_ptr<net::LoopbackForwarder> forwarder;
  pid_t file_server = 0;
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
    vm = std::move(vm_);
    forwarder = std::move(forwarder_);
    file_server = std::exchange(file_server_, 0);
    tree_.reset();
    shares_.clear();
    leases_.clear();
  }
  if (vm) {
    if (const Status killed = vm->Kill(); !killed) {
      log::Error("kill the VM", {{"error", killed.error()}});
    }
  }
  vm.reset();
  forwarder.reset();
  if (file_server > 0) {
    EndFileServer(file_server);
  }
}

}  // namespace farlet::shim
