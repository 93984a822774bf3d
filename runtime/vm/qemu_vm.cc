#include "runtime/vm/qemu_vm.h"

#include "runtime/base/log.h"
#include "runtime/vm/translation/plugin_file.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace farlet::vm {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// Long: a busy host is no reason to give up, and whoever starts a machine keeps a time of its own.
constexpr milliseconds kGreetingTimeout{60000};
constexpr milliseconds kCommandTimeout{30000};
constexpr milliseconds kKillTimeout{10000};
constexpr size_t kConsoleFileBytes = 256u << 10;
constexpr size_t kMessageFileBytes = 32u << 10;
constexpr size_t kTailBytes = 4u << 10;
// Users of VMs are 0x70000000 plus the pid of the process that the VM belongs to, which differs
// among all that live at the same time. systemd leaves this range to nobody.
constexpr uid_t kFirstUser = 0x70000000;

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool FlagAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<SocketPair> MakeSocketPair() {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    return ErrnoError(errno, "socketpair");
  }
  return SocketPair{UniqueFd(pair[0]), UniqueFd(pair[1])};
}

UniqueFd NonBlocking(UniqueFd fd) {
  if (fd.valid()) {
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  }
  return fd;
}

// Opens an image and pads it with a hole to the slot's size.
Result<UniqueFd> OpenImage(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));

  struct stat info {};

  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    return ErrnoError(errno, "open disk image " + path.string());
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgument(fmt::format("disk image {}: not a regular file", path.string()));
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > kImageSlotBytes) {
    return InvalidArgument(fmt::format("disk image {}: {} bytes are more than the {} of a slot",
                                       path.string(), size, kImageSlotBytes));
  }
  if (size < kImageSlotBytes &&
      ::truncate(path.c_str(), static_cast<off_t>(kImageSlotBytes)) != 0) {
    return ErrnoError(errno, "pad disk image " + path.string());
  }
  return fd;
}

Result<std::pair<dev_t, ino_t>> IdentityOf(int fd) {
  struct stat info {};

  if (::fstat(fd, &info) != 0) {
    return ErrnoError(errno, "stat disk image");
  }
  return std::pair(info.st_dev, info.st_ino);
}

}  // namespace

// Both ends of everything that QEMU is connected with.
struct QemuVm::Ends {
  SocketPair agent;
  SocketPair files;
  SocketPair qmp;
  SocketPair console;
  SocketPair messages;

  static Result<Ends> Make() {
    Ends ends;
    for (SocketPair* pair : {&ends.agent, &ends.files, &ends.qmp, &ends.console, &ends.messages}) {
      FARLET_ASSIGN(*pair, MakeSocketPair());
    }
    return ends;
  }
};

Result<std::unique_ptr<QemuVm>> QemuVm::Launch(QemuLaunch launch) {
  FARLET_ASSIGN(Ends ends, Ends::Make());
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null.valid()) {
    return ErrnoError(errno, "open /dev/null");
  }
  LaunchPlan plan{.program = launch.qemu,
                  .arguments = QemuArguments(launch.spec, launch.memory),
                  .files = {{launch.kernel, kKernelPath}, {launch.initramfs, kInitramfsPath}},
                  .cgroup_procs = launch.options.cgroup_procs,
                  .root = launch.options.work_dir,
                  .user = kFirstUser + static_cast<uid_t>(::getpid())};
  plan.descriptors = {{null.get(), 0},
                      {ends.messages.theirs.get(), 1},
                      {ends.messages.theirs.get(), 2},
                      {ends.agent.theirs.get(), kAgentFd},
                      {ends.files.theirs.get(), kFilesFd},
                      {launch.options.tap.get(), kTapFd},
                      {ends.qmp.theirs.get(), kQmpFd},
                      {ends.console.theirs.get(), kConsoleFd}};
  if (!launch.translation_plugin.empty()) {
    plan.arguments.insert(plan.arguments.end(), {"-plugin", kTranslationPluginPath});
    plan.files.emplace_back(launch.translation_plugin, kTranslationPluginPath);
    // The child's own, in which the plugin finds the code.
    plan.files.emplace_back("/proc/self/maps", "/proc/self/maps");
  }
  const bool clone = launch.memory == MemoryKind::kClone;
  plan.memory = clone ? MemoryFile::kTemplateOfOthers : MemoryFile::kShared;
  std::map<std::string, OpenBroker::Answer> answers;
  if (launch.memory_file.valid()) {
    answers[kMemoryPath] = {std::move(launch.memory_file), kMemoryFd};
  }
  if (launch.spec.acceleration == Acceleration::Kind::kKvm) {
    answers["/dev/kvm"] = {UniqueFd(::open("/dev/kvm", O_RDWR | O_CLOEXEC)), -1};
  }
  FARLET_ASSIGN(ConfinedProcess process, ConfinedProcess::Start(std::move(plan)));
  std::unique_ptr<QemuVm> vm(new QemuVm(std::move(process), std::move(ends),
                                        std::move(launch.state_file), launch.options));
  FARLET_TRY(vm->Watch(std::move(answers)));
  auto status = vm->Connect(launch);
  if (status && clone) {
    status = vm->Restore();
    vm->state_file_.Close();
  }
  if (!status) {
    // Its connections end a moment before it does.
    if (status.error().code == Code::kUnavailable) {
      (void)vm->Kill().has_value();
    }
    Error error = Wrap("start a VM", std::move(status).error());
    if (vm->process_.EndOf()) {
      error.message += fmt::format(" ({})", vm->ExitReason());
    }
    return error;
  }
  return vm;
}

QemuVm::QemuVm(ConfinedProcess process, Ends ends, UniqueFd state_file, const VmOptions& options)
    : process_(std::move(process)),
      agent_(std::move(ends.agent.ours)),
      files_(std::move(ends.files.ours)),
      console_(std::move(ends.console.ours)),
      messages_(std::move(ends.messages.ours)),
      state_file_(std::move(state_file)),
      qmp_(std::move(ends.qmp.ours), nullptr),
      console_log_(options.work_dir / "console.log", kConsoleFileBytes, kTailBytes),
      message_log_(options.work_dir / "qemu.log", kMessageFileBytes, kTailBytes) {}

QemuVm::~QemuVm() {
  if (const Status status = Kill(); !status) {
    log::Error("a VM does not end", {{"error", status.error()}});
  }
}

Status QemuVm::Watch(std::map<std::string, OpenBroker::Answer> answers) {
  broker_ = std::make_unique<OpenBroker>(process_.TakeListener(), pid(), std::move(answers));
  std::vector<Watcher::Source> sources;
  sources.push_back({qmp_.fd(), [this] { return qmp_.OnReadable(); }});
  sources.push_back({console_.get(), [this] { return Drain(console_.get(), console_log_); }});
  sources.push_back({messages_.get(), [this] { return Drain(messages_.get(), message_log_); }});
  sources.push_back({broker_->fd(), [this] { return broker_->OnReadable(); }});
  FARLET_ASSIGN(watcher_, Watcher::Start(std::move(sources)));
  return {};
}

// Before the guest runs: a clone's has the disk mounted.
Status QemuVm::Connect(const QemuLaunch& launch) {
  UniqueFd disk;
  if (launch.make_disk) {
    FARLET_ASSIGN(disk, Annotate(launch.make_disk(), "writable disk"));
  }
  FARLET_TRY(qmp_.Negotiate(kGreetingTimeout));
  return disk.valid() ? Annotate(Attach(0, disk.get(), false), "attach the writable disk")
                      : Status();
}

Status QemuVm::Restore() {
  FARLET_TRY(Annotate(Migrate("migrate-incoming"), "restore the template's state"));
  return Resume();
}

Status QemuVm::Save() {
  FARLET_TRY(Pause());
  return Annotate(Migrate("migrate"), "save the machine's state");
}

Status QemuVm::Migrate(std::string_view command) {
  const json capabilities = json::array({{{"capability", "x-ignore-shared"}, {"state", true}},
                                         {{"capability", "events"}, {"state", true}}});
  FARLET_TRY(
      qmp_.Execute("migrate-set-capabilities", {{"capabilities", capabilities}}, kCommandTimeout));
  qmp_.Expect([](const QmpEvent& event) {
    const std::string status = TextAt(event.data, "status");
    return event.name == "MIGRATION" && (status == "completed" || status == "failed");
  });
  FARLET_TRY(qmp_.Execute("getfd", {{"fdname", "state"}}, kCommandTimeout, state_file_.get()));
  FARLET_TRY(qmp_.Execute(command, {{"uri", "fd:state"}}, kCommandTimeout));
  FARLET_ASSIGN(const QmpEvent event, qmp_.AwaitExpected(kCommandTimeout));
  if (TextAt(event.data, "status") != "completed") {
    return MakeError(Code::kDataLoss, "QEMU reports a failure");
  }
  return {};
}

Status QemuVm::AwaitAgent(std::chrono::steady_clock::time_point deadline) {
  // The event may have come before anybody expected it, so the state is asked for as well.
  qmp_.Expect([](const QmpEvent& event) {
    return event.name == "VSERPORT_CHANGE" && TextAt(event.data, "id") == kAgentPort &&
           FlagAt(event.data, "open");
  });
  FARLET_ASSIGN(const bool open, AgentIsOpen());
  if (open) {
    return {};
  }
  const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
  if (const auto event = qmp_.AwaitExpected(std::max(left, milliseconds(0))); !event) {
    return Wrap("wait for the guest's agent", event.error());
  }
  return {};
}

Result<bool> QemuVm::AgentIsOpen() {
  FARLET_ASSIGN(const json devices, qmp_.Execute("query-chardev", nullptr, kCommandTimeout));
  return std::ranges::any_of(devices, [](const json& device) {
    return TextAt(device, "label") == "agent" && FlagAt(device, "frontend-open");
  });
}

UniqueFd QemuVm::TakeAgent() {
  return NonBlocking(std::move(agent_));
}

UniqueFd QemuVm::TakeFiles() {
  return NonBlocking(std::move(files_));
}

Result<std::string> QemuVm::AttachImage(const std::filesystem::path& image) {
  const std::scoped_lock lock(disks_mutex_);
  FARLET_ASSIGN(const UniqueFd fd, OpenImage(image));
  FARLET_ASSIGN(const auto identity, IdentityOf(fd.get()));
  const auto found = std::ranges::find(images_, identity);
  const size_t slot = static_cast<size_t>(found - images_.begin()) + 1;
  if (found != images_.end()) {
    return SlotDevice(slot);
  }
  if (slot > kImageSlots) {
    return MakeError(
        Code::kResourceExhausted,
        fmt::format("attach {}: all {} image slots are taken", image.string(), kImageSlots));
  }
  FARLET_TRY(Annotate(Attach(slot, fd.get(), true), "attach " + image.string()));
  images_.push_back(identity);
  return SlotDevice(slot);
}

Status QemuVm::Attach(size_t slot, int fd, bool read_only) {
  FARLET_TRY(qmp_.Execute("add-fd", {{"fdset-id", slot}}, kCommandTimeout, fd));
  json file = {{"driver", "file"},
               {"node-name", fmt::format("file{}", slot)},
               {"filename", fmt::format("/dev/fdset/{}", slot)},
               {"read-only", read_only}};
  json slot_node = {{"driver", "raw"},
                    {"node-name", SlotNode(slot)},
                    {"file", fmt::format("file{}", slot)},
                    {"read-only", read_only}};
  if (!read_only) {
    // The disk ends with the pod: nobody needs what it would hold after a crash of the host.
    file["cache"] = {{"no-flush", true}};
    file["discard"] = "unmap";
    slot_node["discard"] = "unmap";
    slot_node["cache"] = {{"no-flush", true}};
  }
  FARLET_TRY(qmp_.Execute("blockdev-add", file, kCommandTimeout));
  FARLET_TRY(
      qmp_.Execute("blockdev-reopen", {{"options", json::array({slot_node})}}, kCommandTimeout));
  FARLET_TRY(
      qmp_.Execute("blockdev-del", {{"node-name", fmt::format("empty{}", slot)}}, kCommandTimeout));
  return {};
}

Status QemuVm::Pause() {
  FARLET_TRY(qmp_.Execute("stop", nullptr, kCommandTimeout));
  return {};
}

Status QemuVm::Resume() {
  FARLET_TRY(qmp_.Execute("cont", nullptr, kCommandTimeout));
  return {};
}

bool QemuVm::Drain(int fd, BoundedLog& log) const {
  const std::scoped_lock lock(drain_mutex_);
  std::array<char, 4096> buffer{};
  const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count > 0) {
    log.Append({buffer.data(), static_cast<size_t>(count)});
  }
  return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

std::string QemuVm::ExitReason() const {
  const auto end = process_.EndOf();
  if (!end) {
    return "running";
  }
  // What it said last may not have been read yet; the other ends are closed, so this ends.
  while (Drain(console_.get(), console_log_)) {
  }
  while (Drain(messages_.get(), message_log_)) {
  }
  std::string words = LastWords(console_log_.Tail());
  if (words.starts_with("Kernel panic")) {
    return "guest kernel panic: " + words;
  }
  const std::string message = LastWords(message_log_.Tail());
  return message.empty() ? "QEMU " + *end : fmt::format("QEMU {}: {}", *end, message);
}

std::string QemuVm::EndOrConsole() const {
  if (process_.EndOf()) {
    return ExitReason();
  }
  const std::string words = LastWords(console_log_.Tail());
  return words.empty() ? "it runs, and its console is silent"
                       : "it runs; last on its console: " + words;
}

Status QemuVm::Kill() {
  return process_.Kill(kKillTimeout);
}

}  // namespace farlet::vm
