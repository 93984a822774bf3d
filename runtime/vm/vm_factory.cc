#include "runtime/vm/vm_factory.h"

#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/undo.h"
#include "runtime/vm/boot_files.h"
#include "runtime/vm/builder_cgroup.h"
#include "runtime/vm/disk/sparse_copy.h"
#include "runtime/vm/disk/writable.h"
#include "runtime/vm/null_tap.h"
#include "runtime/vm/qemu_vm.h"
#include "runtime/vm/template_key.h"
#include "runtime/vm/template_store.h"
#include "runtime/vm/translation/plugin_file.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace farlet::vm {
namespace {

using std::chrono::steady_clock;

// A busy host boots slowly; a guest that dies is noticed at once.
constexpr std::chrono::seconds kBootDeadline{60};
// For somebody else's build of the same template, or of another.
constexpr std::chrono::seconds kBuildDeadline{90};
constexpr std::chrono::milliseconds kTemplatePoll{10};

steady_clock::time_point Within(steady_clock::time_point deadline, std::chrono::seconds limit) {
  return std::min(deadline, steady_clock::now() + limit);
}

Result<UniqueFd> Duplicate(const UniqueFd& fd) {
  UniqueFd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate the tap's descriptor");
  }
  return copy;
}

Result<VmOptions> Copy(const VmOptions& options) {
  VmOptions copy{.size = options.size,
                 .disk = options.disk,
                 .cold_boot = options.cold_boot,
                 .cgroup_procs = options.cgroup_procs,
                 .work_dir = options.work_dir,
                 .deadline = options.deadline};
  FARLET_ASSIGN(copy.tap, Duplicate(options.tap));
  return copy;
}

Result<UniqueFd> MakeDisk(const WritableDisk& disk, const std::filesystem::path& templates) {
  FARLET_TRY(disk::CreateWritable(
      disk.path, disk.bytes, {.template_folder = templates, .slot_bytes = kWritableSlotBytes}));
  UniqueFd fd(::open(disk.path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoError(errno, "open " + disk.path.string());
  }
  return fd;
}

// What the template's guest has in memory of its disk is true of the copy, also the UUID.
Result<UniqueFd> CopyDisk(int source, const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return ErrnoError(errno, "create " + path.string());
  }
  FARLET_TRY(Annotate(disk::SparseCopy(source, fd.get()), "copy the template's disk"));
  return fd;
}

class QemuFactory final : public VmFactory {
 public:
  QemuFactory(HostConfig config,
              Handshake handshake,
              TemplateInputs inputs,
              TemplateBuilder builder)
      : config_(std::move(config)),
        handshake_(std::move(handshake)),
        inputs_(std::move(inputs)),
        builder_(std::move(builder)),
        templates_(config_.template_dir) {}

  Status Prepare() {
    FARLET_ASSIGN(acceleration_, ProbeAcceleration(config_));
    if (acceleration_.translation_plugin) {
      FARLET_ASSIGN(translation_plugin_, PlaceTranslationPlugin(config_.run_dir));
    }
    return {};
  }

  Result<std::unique_ptr<Vm>> Start(VmOptions options) override;
  Status EnsureTemplate(MachineSize size, uint64_t disk_bytes) override;

  const Acceleration& acceleration() const override { return acceleration_; }

 private:
  MachineSpec SpecFor(MachineSize size, uint64_t disk_bytes) const {
    return {size, acceleration_.kind, acceleration_.tsc_khz, disk_bytes};
  }

  // Templates have a disk of the usual size or none.
  MachineSpec SpecFor(const VmOptions& options) const {
    const bool usual = options.disk && options.disk->bytes == config_.ephemeral_storage_bytes;
    return SpecFor(options.size, usual ? options.disk->bytes : 0);
  }

  std::string KeyFor(const MachineSpec& spec) const { return TemplateKey(spec, inputs_); }

  // With a new disk, if it is to have one.
  QemuLaunch LaunchOf(const MachineSpec& spec, MemoryKind memory, VmOptions options) const;
  // Open, built here if it is missing.
  Result<Template> FindTemplate(const MachineSpec& spec);
  // Open, built by a process of its own if it is missing.
  Result<Template> AwaitTemplate(const MachineSpec& spec, steady_clock::time_point deadline);
  Status BuildTemplate(const MachineSpec& spec, TemplateDraft& draft) const;
  Result<std::unique_ptr<Vm>> Clone(const MachineSpec& spec, VmOptions options);
  Result<std::unique_ptr<QemuVm>> Boot(QemuLaunch launch) const;

  const HostConfig config_;
  const Handshake handshake_;
  const TemplateInputs inputs_;
  const TemplateBuilder builder_;
  TemplateStore templates_;
  Acceleration acceleration_;
  std::filesystem::path translation_plugin_;  // empty: none
};

Result<std::unique_ptr<Vm>> QemuFactory::Start(VmOptions options) {
  const MachineSpec spec = SpecFor(options);
  if (!options.tap.valid()) {
    FARLET_ASSIGN(options.tap, MakeNullTap());
  }
  if (!config_.cold_boot && !options.cold_boot) {
    FARLET_ASSIGN(VmOptions copy, Copy(options));
    auto clone = Clone(spec, std::move(copy));
    if (clone || steady_clock::now() >= options.deadline) {
      return clone;
    }
    log::Warning("no clone of a template, the VM boots instead", {{"error", clone.error()}});
    if (options.disk) {
      ::unlink(options.disk->path.c_str());
    }
  }
  FARLET_ASSIGN(std::unique_ptr<Vm> vm,
                Boot(LaunchOf(spec, MemoryKind::kPrivate, std::move(options))));
  return vm;
}

Status QemuFactory::EnsureTemplate(MachineSize size, uint64_t disk_bytes) {
  const MachineSpec spec = SpecFor(size, disk_bytes);
  const Status good = templates_.Verify(KeyFor(spec), steady_clock::now() + kBuildDeadline);
  if (good) {
    return good;
  }
  FARLET_TRY(FindTemplate(spec));
  return {};
}

QemuLaunch QemuFactory::LaunchOf(const MachineSpec& spec,
                                 MemoryKind memory,
                                 VmOptions options) const {
  QemuLaunch launch{.qemu = config_.qemu,
                    .kernel = inputs_.files.kernel,
                    .initramfs = inputs_.files.initramfs,
                    .translation_plugin = translation_plugin_,
                    .spec = spec,
                    .memory = memory,
                    .options = std::move(options)};
  if (launch.options.disk) {
    launch.make_disk = [disk = *launch.options.disk, templates = config_.cache_dir / "templates"] {
      return MakeDisk(disk, templates);
    };
  }
  return launch;
}

Result<Template> QemuFactory::FindTemplate(const MachineSpec& spec) {
  return templates_.OpenOrBuild(KeyFor(spec), uint64_t{spec.size.memory_mib} << 20,
                                steady_clock::now() + kBuildDeadline, [&](TemplateDraft& draft) {
                                  return Annotate(BuildTemplate(spec, draft), "build a template");
                                });
}

Result<Template> QemuFactory::AwaitTemplate(const MachineSpec& spec,
                                            steady_clock::time_point deadline) {
  const std::string key = KeyFor(spec);
  auto opened = templates_.Open(key);
  if (opened) {
    return opened;
  }
  FARLET_ASSIGN(const UniqueFd life, builder_(spec.size, spec.disk_bytes));
  // No boot meanwhile: on a busy host the two would keep each other from getting ready.
  while (steady_clock::now() < deadline) {
    pollfd ended{.fd = life.get(), .events = POLLIN, .revents = 0};
    const bool over = ::poll(&ended, 1, static_cast<int>(kTemplatePoll.count())) > 0;
    opened = templates_.Open(key);
    if (opened || over) {
      return opened;
    }
  }
  return MakeError(Code::kDeadlineExceeded,
                   fmt::format("the template of machines with {} MiB and {} CPUs is being built",
                               spec.size.memory_mib, spec.size.vcpus));
}

Status QemuFactory::BuildTemplate(const MachineSpec& spec, TemplateDraft& draft) const {
  const auto start = steady_clock::now();
  FARLET_TRY(VerifyBootFiles(inputs_.files));
  VmOptions options{.size = spec.size, .cgroup_procs = RootCgroupProcs("/sys/fs/cgroup")};
  options.work_dir = config_.run_dir / fmt::format("build-{}", ::getpid());
  FARLET_TRY(MakeDirectories(options.work_dir, 0700));
  const std::filesystem::path folder = options.work_dir;
  const Undo remove([&folder] {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  });
  FARLET_ASSIGN(options.tap, MakeNullTap());
  if (spec.disk_bytes != 0) {
    options.disk = WritableDisk{.path = draft.disk, .bytes = spec.disk_bytes};
  }
  QemuLaunch launch = LaunchOf(spec, MemoryKind::kTemplate, std::move(options));
  FARLET_ASSIGN(launch.memory_file, Duplicate(draft.memory));
  FARLET_ASSIGN(launch.state_file, Duplicate(draft.state));
  FARLET_ASSIGN(const auto vm, Boot(std::move(launch)));
  FARLET_TRY(vm->Save());
  // Only then is the memory as it was saved, and nobody writes any more.
  FARLET_TRY(vm->Kill());
  const auto took = std::chrono::ceil<std::chrono::milliseconds>(steady_clock::now() - start);
  log::Info("built a template", {{"memory_mib", spec.size.memory_mib},
                                 {"vcpus", spec.size.vcpus},
                                 {"milliseconds", took.count()}});
  return {};
}

Result<std::unique_ptr<Vm>> QemuFactory::Clone(const MachineSpec& spec, VmOptions options) {
  const auto deadline = Within(options.deadline, kBuildDeadline);
  FARLET_ASSIGN(Template saved, builder_ ? AwaitTemplate(spec, deadline) : FindTemplate(spec));
  QemuLaunch launch = LaunchOf(spec, MemoryKind::kClone, std::move(options));
  launch.memory_file = std::move(saved.memory);
  launch.state_file = std::move(saved.state);
  if (saved.disk.valid()) {
    launch.make_disk = [path = launch.options.disk->path,
                        source = std::make_shared<UniqueFd>(std::move(saved.disk))] {
      return CopyDisk(source->get(), path);
    };
  }
  auto vm = QemuVm::Launch(std::move(launch));
  if (vm) {
    return std::unique_ptr<Vm>(std::move(*vm));
  }
  // Was it the template? Then it is dropped, and the next pod builds another.
  if (const Status good = templates_.Verify(KeyFor(spec), deadline); !good) {
    return Wrap(good.error().message, vm.error());
  }
  return vm.error();
}

Result<std::unique_ptr<QemuVm>> QemuFactory::Boot(QemuLaunch launch) const {
  const auto deadline = Within(launch.options.deadline, kBootDeadline);
  const bool has_disk = launch.options.disk.has_value();
  const bool is_template = launch.memory == MemoryKind::kTemplate;
  FARLET_ASSIGN(std::unique_ptr<QemuVm> vm, QemuVm::Launch(std::move(launch)));
  Status ready = vm->AwaitAgent(deadline);
  if (ready && handshake_.run) {
    ready = handshake_.run({.agent = vm->agent(),
                            .files = vm->files(),
                            .has_disk = has_disk,
                            .is_template = is_template},
                           deadline);
  }
  if (!ready) {
    // Its connections end a moment before it does.
    if (ready.error().code == Code::kUnavailable) {
      (void)vm->Kill().has_value();
    }
    return Wrap("boot a VM",
                MakeError(ready.error().code,
                          fmt::format("{} ({})", ready.error().message, vm->EndOrConsole())));
  }
  return vm;
}

}  // namespace

Result<std::unique_ptr<VmFactory>> VmFactory::Create(HostConfig config,
                                                     Handshake handshake,
                                                     TemplateBuilder builder) {
  TemplateInputs inputs{.handshake_version = handshake.version};
  FARLET_ASSIGN(inputs.files, FindBootFiles(config));
  FARLET_ASSIGN(inputs.qemu_fingerprint, FingerprintOf(config.qemu));
  FARLET_ASSIGN(inputs.boot_id, ReadFile("/proc/sys/kernel/random/boot_id", 256));
  auto factory = std::make_unique<QemuFactory>(std::move(config), std::move(handshake),
                                               std::move(inputs), std::move(builder));
  FARLET_TRY(factory->Prepare());
  return std::unique_ptr<VmFactory>(std::move(factory));
}

}  // namespace farlet::vm
