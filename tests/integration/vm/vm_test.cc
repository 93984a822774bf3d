// Machines with a real QEMU, kernel and a guest program of the tests' own. Needs root and what
// deploy/vm/build needs; the first run downloads the kernel's package.
//
//   FARLET_KERNEL_DEB  the kernel's package, instead of apt's newest

#include "runtime/vm/process.h"
#include "runtime/vm/vm_factory.h"
#include "tests/integration/vm/guest_line.h"
#include "tests/integration/vm/host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class VmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0u) << "needs root";
    ASSERT_TRUE(host_.Prepare()) << host_.error();
  }

  std::unique_ptr<VmFactory> Factory() {
    auto factory = VmFactory::Create(host_.config(), TestHandshake());
    EXPECT_TRUE(factory) << factory.error().message;
    return factory ? std::move(*factory) : nullptr;
  }

  std::unique_ptr<Vm> Start(VmFactory& factory,
                            bool cold = false,
                            std::optional<WritableDisk> disk = std::nullopt) {
    auto vm = factory.Start({.size = {1, 256},
                             .disk = std::move(disk),
                             .cold_boot = cold,
                             .work_dir = host_.NewWorkDir()});
    EXPECT_TRUE(vm) << vm.error().message;
    return vm ? std::move(*vm) : nullptr;
  }

  TestHost host_;
};

std::string FirstBytes(const fs::path& path, size_t count) {
  std::ifstream file(path);
  std::string bytes(count, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(count));
  return bytes;
}

bool Ends(const Vm& vm, milliseconds timeout) {
  pollfd end{.fd = vm.exit_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, static_cast<int>(timeout.count())) == 1;
}

std::string StatusLine(pid_t pid, const std::string& key) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key + ":")) {
      const size_t start = line.find_first_not_of(" \t", key.size() + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  }
  return "missing";
}

// --- starting

TEST_F(VmTest, ColdBootAnswers) {
  const auto factory = Factory();
  const auto vm = Start(*factory, true);
  ASSERT_TRUE(vm);
  GuestLine guest(vm->TakeAgent());
  EXPECT_EQ(guest.Ask("hello"), "ready");
  EXPECT_EQ(guest.Ask("sleep"), "slept");
  EXPECT_FALSE(fs::exists(host_.config().template_dir / "lock")) << "a cold boot makes no template";
}

TEST_F(VmTest, ClonesAnswerAndAreApart) {
  const auto factory = Factory();
  const auto first = Start(*factory);
  const auto second = Start(*factory);
  ASSERT_TRUE(first && second);
  GuestLine one(first->TakeAgent());
  GuestLine two(second->TakeAgent());
  EXPECT_EQ(one.Ask("hello"), "ready");
  EXPECT_EQ(two.Ask("hello"), "ready");
  EXPECT_EQ(one.Ask("sleep"), "slept");
  EXPECT_EQ(one.Ask("digest"), two.Ask("digest"));
  EXPECT_EQ(host_.Templates().size(), 1u);
}

TEST_F(VmTest, AnotherProcessSharesTheTemplate) {
  ASSERT_TRUE(Factory()->EnsureTemplate({1, 256}, 0));
  const auto before = fs::last_write_time(host_.Templates().at(0) / "manifest.json");
  const auto vm = Start(*Factory());
  EXPECT_EQ(fs::last_write_time(host_.Templates().at(0) / "manifest.json"), before);
}

TEST_F(VmTest, ConcurrentStartsBuildOneTemplate) {
  std::vector<std::future<std::string>> answers;
  for (int i = 0; i < 4; ++i) {
    answers.push_back(std::async(std::launch::async, [this] {
      const auto factory = Factory();
      const auto vm = Start(*factory);
      return vm ? GuestLine(vm->TakeAgent()).Ask("hello") : "no VM";
    }));
  }
  for (auto& answer : answers) {
    EXPECT_EQ(answer.get(), "ready");
  }
  EXPECT_EQ(host_.Templates().size(), 1u);
}

TEST_F(VmTest, ChangedMemoryIsNotTrusted) {
  ASSERT_TRUE(Factory()->EnsureTemplate({1, 256}, 0));
  const fs::path folder = host_.Templates().at(0);
  {
    const UniqueFd fd(::open((folder / "memory").c_str(), O_WRONLY));
    ASSERT_EQ(::pwrite(fd.get(), "spoilt", 6, 16 << 20), 6);
  }
  const auto vm = Start(*Factory());
  ASSERT_TRUE(vm);
  EXPECT_EQ(GuestLine(vm->TakeAgent()).Ask("hello"), "ready");
  std::ifstream memory(folder / "memory");
  memory.seekg(16 << 20);
  std::string bytes(6, '\0');
  memory.read(bytes.data(), 6);
  EXPECT_NE(bytes, "spoilt") << "built again";
}

TEST_F(VmTest, StateThatQemuRefusesLeadsToABoot) {
  ASSERT_TRUE(Factory()->EnsureTemplate({1, 256}, 0));
  ASSERT_TRUE(host_.ReplaceState(host_.Templates().at(0), std::string(5000, 'x')));
  const auto vm = Start(*Factory());
  ASSERT_TRUE(vm);
  EXPECT_EQ(GuestLine(vm->TakeAgent()).Ask("hello"), "ready");
}

TEST_F(VmTest, CorruptKernelIsNamed) {
  const fs::path copy = host_.CopyBootFiles();
  HostConfig config = host_.config();
  config.kernel = copy / "vmlinux";
  config.initramfs = copy / "initramfs.cpio";
  {
    const UniqueFd fd(::open(config.kernel.c_str(), O_WRONLY));
    ASSERT_EQ(::pwrite(fd.get(), "spoilt", 6, 20 << 20), 6);
  }
  auto factory = VmFactory::Create(config, TestHandshake());
  ASSERT_TRUE(factory) << factory.error().message;
  const Status status = (*factory)->EnsureTemplate({1, 256}, 0);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("vmlinux: differs from its checksum"), std::string::npos)
      << status.error().message;
}

TEST_F(VmTest, PanickingGuestIsAnErrorWithTheReason) {
  const auto factory = Factory();
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  EXPECT_EQ(vm->ExitReason(), "running");
  GuestLine(vm->TakeAgent()).Say("panic");
  ASSERT_TRUE(Ends(*vm, milliseconds(10000)));
  EXPECT_EQ(vm->ExitReason().substr(0, 34), "guest kernel panic: Kernel panic -")
      << vm->ExitReason();
}

// --- disks

TEST_F(VmTest, DisksAppearBehindTheirSlots) {
  const auto factory = Factory();
  for (const bool cold : {true, false}) {
    SCOPED_TRACE(cold ? "booted" : "cloned");
    const WritableDisk disk{.path = host_.NewWorkDir() / "disk", .bytes = 64u << 20};
    const auto vm = Start(*factory, cold, disk);
    ASSERT_TRUE(vm);
    GuestLine guest(vm->TakeAgent());
    EXPECT_EQ(guest.Ask("serial vda"), "slot0");
    EXPECT_EQ(guest.Ask("serial vdm"), "slot12");
    for (const char slot : {'b', 'c', 'd'}) {
      const fs::path image = host_.NewFile(fmt::format("image {} of the test", slot));
      auto device = vm->AttachImage(image);
      ASSERT_TRUE(device) << device.error().message;
      EXPECT_EQ(*device, fmt::format("vd{}", slot));
      EXPECT_EQ(guest.Ask("read " + *device), fmt::format("image {} of the t", slot).substr(0, 16));
      EXPECT_EQ(guest.Ask("write " + *device + " no"), "error") << "read-only";
      EXPECT_EQ(*vm->AttachImage(image), *device) << "the same file again";
    }
    EXPECT_EQ(guest.Ask("write vda from the guest"), "written");
    EXPECT_EQ(fs::file_size(disk.path), kWritableSlotBytes) << "padded";
    EXPECT_EQ(FirstBytes(disk.path, 14), "from the guest");
  }
}

TEST_F(VmTest, CopiesOfATemplatesDiskAreApart) {
  const auto factory = Factory();
  const uint64_t usual = host_.config().ephemeral_storage_bytes;
  for (const char* words : {"the first wrote", "the other wrote"}) {
    const WritableDisk disk{.path = host_.NewWorkDir() / "disk", .bytes = usual};
    const auto vm = Start(*factory, false, disk);
    ASSERT_TRUE(vm);
    GuestLine guest(vm->TakeAgent());
    EXPECT_EQ(guest.Ask("read vda"), "") << "zeros, nothing of another's";
    EXPECT_EQ(guest.Ask(fmt::format("write vda {}", words)), "written");
    EXPECT_EQ(FirstBytes(disk.path, 15), words);
  }
  ASSERT_EQ(host_.Templates().size(), 1u);
  EXPECT_EQ(FirstBytes(host_.Templates().at(0) / "disk", 15), std::string(15, '\0'));
}

TEST_F(VmTest, DiskThatCannotBeMadeIsNamed) {
  const auto factory = Factory();
  const auto vm =
      factory->Start({.size = {1, 256},
                      .disk = WritableDisk{.path = "/nonexistent/disk", .bytes = 64u << 20},
                      .work_dir = host_.NewWorkDir()});
  ASSERT_FALSE(vm);
  EXPECT_NE(vm.error().message.find("writable disk: make disk /nonexistent/disk"),
            std::string::npos)
      << vm.error().message;
}

TEST_F(VmTest, SlotsEnd) {
  const auto factory = Factory();
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  for (size_t i = 0; i < kImageSlots; ++i) {
    const auto device = vm->AttachImage(host_.NewFile("x"));
    ASSERT_TRUE(device) << device.error().message;
  }
  EXPECT_EQ(vm->AttachImage(host_.NewFile("x")).error().code, Code::kResourceExhausted);
  EXPECT_EQ(vm->AttachImage("/dev/null").error().code, Code::kInvalidArgument);
  EXPECT_EQ(vm->AttachImage("/nonexistent").error().code, Code::kNotFound);
}

// --- memory

TEST_F(VmTest, FreedMemoryReturnsAndTheTemplateStays) {
  const auto factory = Factory();
  ASSERT_TRUE(factory->EnsureTemplate({1, 256}, 0));
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  GuestLine guest(vm->TakeAgent());
  const std::string digest = guest.Ask("digest");
  const uint64_t before = AnonymousKib(vm->pid());
  ASSERT_EQ(guest.Ask("fill 120"), "filled");
  // The guest reports free pages after some seconds.
  const auto until = steady_clock::now() + std::chrono::seconds(40);
  while (AnonymousKib(vm->pid()) > before + (60u << 10) && steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_LE(AnonymousKib(vm->pid()), before + (60u << 10));
  EXPECT_EQ(guest.Ask("digest"), digest);
  // Verifies the memory's checksum; a new template would have another time.
  const auto made = fs::last_write_time(host_.Templates().at(0) / "manifest.json");
  EXPECT_TRUE(factory->EnsureTemplate({1, 256}, 0));
  EXPECT_EQ(fs::last_write_time(host_.Templates().at(0) / "manifest.json"), made);
}

TEST_F(VmTest, TranslatedCodeReturnsWhenTheMachineRests) {
  const auto factory = Factory();
  if (factory->acceleration().kind != Acceleration::Kind::kTcg) {
    GTEST_SKIP() << "kvm translates nothing";
  }
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  GuestLine guest(vm->TakeAgent());
  EXPECT_EQ(guest.Ask("fill 20"), "filled");
  const uint64_t before = CodeKib(vm->pid());
  ASSERT_GT(before, 4u << 10);
  const auto until = steady_clock::now() + std::chrono::seconds(60);
  while (CodeKib(vm->pid()) > before / 2 && steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_LE(CodeKib(vm->pid()), before / 2);
  EXPECT_EQ(guest.Ask("fill 20"), "filled") << "it is translated again";
  EXPECT_EQ(guest.Ask("sleep"), "slept");
}

// --- life and death

TEST_F(VmTest, PausedGuestDoesNotAnswer) {
  const auto factory = Factory();
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  GuestLine guest(vm->TakeAgent());
  ASSERT_EQ(guest.Ask("hello"), "ready");
  ASSERT_TRUE(vm->Pause());
  ASSERT_TRUE(vm->Pause());
  guest.Say("hello");
  EXPECT_FALSE(guest.Hears(milliseconds(300)));
  ASSERT_TRUE(vm->Resume());
  ASSERT_TRUE(vm->Resume());
  EXPECT_EQ(guest.Answer(), "ready");
}

TEST_F(VmTest, KilledAndPoweredOffAreTold) {
  const auto factory = Factory();
  const auto killed = Start(*factory);
  ASSERT_TRUE(killed);
  EXPECT_FALSE(Ends(*killed, milliseconds(0)));
  ASSERT_TRUE(killed->Kill());
  EXPECT_TRUE(Ends(*killed, milliseconds(0)));
  EXPECT_EQ(killed->ExitReason(), "QEMU killed by signal 9");
  EXPECT_TRUE(killed->Kill());
  EXPECT_EQ(killed->Pause().error().code, Code::kUnavailable);
  const auto off = Start(*factory);
  ASSERT_TRUE(off);
  GuestLine(off->TakeAgent()).Say("off");
  EXPECT_TRUE(Ends(*off, milliseconds(10000)));
  EXPECT_EQ(off->ExitReason().substr(0, 25), "QEMU exited with status 0") << off->ExitReason();
}

TEST_F(VmTest, ConsoleStaysSmall) {
  const auto factory = Factory();
  const fs::path work = host_.NewWorkDir();
  auto vm = factory->Start({.size = {1, 256}, .work_dir = work});
  ASSERT_TRUE(vm) << vm.error().message;
  GuestLine guest((*vm)->TakeAgent());
  ASSERT_EQ(guest.Ask("chatter 700"), "said");
  EXPECT_LE(fs::file_size(work / "console.log"), 256u << 10);
  EXPECT_LE(fs::file_size(work / "console.log.1"), 256u << 10);
  EXPECT_FALSE(fs::exists(work / "console.log.2"));
}

TEST_F(VmTest, QemuDiesWithItsShim) {
  // A process of its own, which is killed as a shim may be. This one has no thread before the fork.
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const pid_t shim = ::fork();
  if (shim == 0) {
    auto factory = VmFactory::Create(host_.config(), TestHandshake());
    auto vm = (*factory)->Start({.size = {1, 256}, .work_dir = host_.NewWorkDir()});
    const pid_t pid = vm ? (*vm)->pid() : -1;
    (void)!::write(pipe[1], &pid, sizeof pid);
    while (true) {
      ::pause();
    }
  }
  pid_t qemu = -1;
  ASSERT_EQ(::read(pipe[0], &qemu, sizeof qemu), static_cast<ssize_t>(sizeof qemu));
  ASSERT_GT(qemu, 0);
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, qemu, 0)));
  ASSERT_TRUE(pidfd.valid());
  ::kill(shim, SIGKILL);
  ::waitpid(shim, nullptr, 0);
  pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&end, 1, 10000), 1);
}

// --- confinement

// A short text lies in its string object itself, which moves.
TEST_F(VmTest, AProgramWithAShortNameIsStarted) {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  auto process =
      ConfinedProcess::Start({.program = "/bin/sh",
                              .arguments = {"-c", "exit 7"},
                              .descriptors = {{null.get(), 0}, {null.get(), 1}, {null.get(), 2}},
                              .root = host_.NewWorkDir(),
                              .user = 0x70000000});
  ASSERT_TRUE(process) << process.error().message;
  pollfd end{.fd = process->pidfd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&end, 1, 10000), 1);
  EXPECT_EQ(process->EndOf().value_or(""), "exited with status 7");
}

TEST_F(VmTest, QemuIsConfined) {
  const auto factory = Factory();
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  const pid_t pid = vm->pid();
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_EQ(StatusLine(pid, set), "0000000000000000") << set;
  }
  EXPECT_EQ(StatusLine(pid, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusLine(pid, "Seccomp"), "2");
  EXPECT_EQ(StatusLine(pid, "Groups"), "");

  struct stat owner {};

  ASSERT_EQ(::stat(fmt::format("/proc/{}", pid).c_str(), &owner), 0);
  EXPECT_EQ(owner.st_uid, 0x70000000u + static_cast<uid_t>(::getpid()));
  for (const char* name : {"mnt", "pid", "net", "ipc", "uts"}) {
    EXPECT_NE(fs::read_symlink(fmt::format("/proc/{}/ns/{}", pid, name)),
              fs::read_symlink(fmt::format("/proc/self/ns/{}", name)))
        << name;
  }
  // Its network has the loopback device alone, and that is down.
  EXPECT_EQ(StatusLine(pid, "Threads") == "0", false);
  std::ifstream devices(fmt::format("/proc/{}/net/dev", pid));
  std::string text((std::istreambuf_iterator<char>(devices)), {});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  // All that it can see.
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/root/", pid))) {
    names.insert(entry.path().filename());
  }
  for (const char* hidden : {"sys", "dev", "run", "home", "root", "var", "tmp"}) {
    EXPECT_FALSE(names.contains(hidden)) << hidden;
  }
  std::ifstream mounts(fmt::format("/proc/{}/mounts", pid));
  for (std::string line; std::getline(mounts, line);) {
    EXPECT_NE(line.find(" ro,"), std::string::npos) << line;
  }
}

TEST_F(VmTest, AClonesMemoryFileIsReadOnly) {
  const auto factory = Factory();
  const auto vm = Start(*factory);
  ASSERT_TRUE(vm);
  std::ifstream info(fmt::format("/proc/{}/fdinfo/200", vm->pid()));
  std::string text((std::istreambuf_iterator<char>(info)), {});
  const size_t flags = text.find("flags:");
  ASSERT_NE(flags, std::string::npos) << text;
  EXPECT_EQ(std::stoul(text.substr(flags + 6), nullptr, 8) & O_ACCMODE, unsigned{O_RDONLY});
}

TEST_F(VmTest, NothingIsLeftBehind) {
  {
    const auto factory = Factory();
    const auto clone = Start(*factory);
    const auto cold = Start(*factory, true);
    ASSERT_TRUE(clone && cold);
  }
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    EXPECT_EQ(line.find(host_.config().run_dir.string()), std::string::npos) << line;
  }
  for (const auto& entry : fs::directory_iterator(host_.config().run_dir)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with("build-")) << entry.path();
  }
  siginfo_t child{};
  EXPECT_TRUE(::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) != 0 || child.si_pid == 0);
}

}  // namespace
}  // namespace farlet::vm
