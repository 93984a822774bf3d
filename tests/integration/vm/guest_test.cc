// A container in a VM: the real guest agent, booted and cloned, with an image and a writable disk.

#include "runtime/shim/handshake.h"
#include "tests/integration/vm/guest_client.h"
#include "tests/integration/vm/host.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <poll.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;
namespace api = guest::v1;

class GuestVmTest : public ::testing::Test {
 protected:
  GuestVmTest() : host_(FARLET_GUEST) {}

  void SetUp() override {
    ASSERT_EQ(::geteuid(), 0u) << "needs root";
    ASSERT_TRUE(host_.Prepare()) << host_.error();
    auto factory = VmFactory::Create(host_.config(), shim::GuestHandshake());
    ASSERT_TRUE(factory) << factory.error().message;
    factory_ = std::move(*factory);
    image_ = MakeImage();
  }

  static void Run(const std::string& command) {
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): a test's own words, and no other thread.
    ASSERT_EQ(std::system((command + " >/dev/null").c_str()), 0) << command;
  }

  // A root file system with busybox as an erofs image.
  fs::path MakeImage() {
    const fs::path root = host_.NewWorkDir();
    for (const char* folder : {"bin", "proc", "etc", "tmp"}) {
      fs::create_directory(root / folder);
    }
    fs::copy("/bin/busybox", root / "bin/busybox");
    fs::create_symlink("busybox", root / "bin/sh");
    const fs::path image = host_.NewFile("");
    Run(fmt::format("mkfs.erofs --quiet {} {}", image.string(), root.string()));
    return image;
  }

  static Status Prepare(GuestClient& client) {
    api::PrepareRequest request;
    std::string seed(64, '\0');
    (void)!::getrandom(seed.data(), seed.size(), 0);
    request.set_seed(seed);
    request.set_wall_time_ns(std::chrono::system_clock::now().time_since_epoch().count());
    request.set_hostname("pod-1");
    request.set_machine_id("0123456789abcdef0123456789abcdef");
    request.set_writable_device(kWritableDevice);
    FARLET_TRY(client.Call<api::PrepareResponse>("Prepare", request));
    return {};
  }

  // The output and exit status of a shell script in a container of its own.
  Result<std::string> RunContainer(Vm& vm, GuestClient& client, const std::string& script) {
    FARLET_ASSIGN(const std::string device, vm.AttachImage(image_));
    api::CreateContainerRequest create;
    create.set_id("c1");
    create.mutable_rootfs()->add_layers()->set_image_device(device);
    for (const std::string& argument : {std::string("/bin/sh"), std::string("-c"), script}) {
      create.mutable_process()->add_args(argument);
    }
    create.mutable_process()->add_env("PATH=/bin");
    api::Mount* proc = create.add_mounts();
    proc->set_destination("/proc");
    proc->set_type("proc");
    FARLET_TRY(client.Call<api::CreateContainerResponse>("CreateContainer", create));
    api::StartContainerRequest start;
    start.set_id("c1");
    FARLET_TRY(client.Call<api::StartContainerResponse>("StartContainer", start));
    std::string output;
    while (true) {
      api::ReadOutputRequest read;
      read.set_container_id("c1");
      read.set_stream(1);
      FARLET_ASSIGN(const auto piece, client.Call<api::ReadOutputResponse>("ReadOutput", read));
      if (piece.eof()) {
        break;
      }
      output += piece.data();
    }
    api::WaitRequest wait;
    wait.set_container_id("c1");
    FARLET_ASSIGN(const auto end, client.Call<api::WaitResponse>("Wait", wait));
    return fmt::format("{}status {}", output, end.exit_status());
  }

  void RunsAContainer(bool cold, uint64_t disk_bytes) {
    const auto start = steady_clock::now();
    const auto since = [&start] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start)
          .count();
    };
    const fs::path folder = host_.NewWorkDir();
    auto vm = factory_->Start({.size = {1, 256},
                               .disk = WritableDisk{.path = folder / "disk", .bytes = disk_bytes},
                               .cold_boot = cold,
                               .work_dir = folder});
    ASSERT_TRUE(vm) << vm.error().message;
    const auto started = since();
    GuestClient client((*vm)->TakeAgent());
    api::HelloRequest hello;
    hello.set_version(1);
    const auto greeted = client.Call<api::HelloResponse>("Hello", hello);
    ASSERT_TRUE(greeted) << greeted.error().message;
    const auto answered = since();

    struct utsname name {};

    ::uname(&name);
    EXPECT_NE(greeted->kernel(), name.release);
    EXPECT_FALSE(greeted->prepared());
    const Status prepared = Prepare(client);
    ASSERT_TRUE(prepared) << prepared.error().message;
    const auto ready = since();
    const auto output = RunContainer(**vm, client,
                                     "hostname; cat /proc/1/comm; echo kept > /tmp/file; cat "
                                     "/tmp/file; grep -c vd /proc/partitions; df -k /tmp | "
                                     "awk 'NR == 2 {print int($2 / 1000000)}'; exit 3");
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_EQ(*output, fmt::format("pod-1\nsh\nkept\n13\n{}\nstatus 3", disk_bytes >> 30U));
    fmt::print(
        "{}: started {} ms, Hello {} ms, prepared {} ms, container's end {} ms; {} MiB PSS\n",
        cold ? "booted" : "cloned", started, answered, ready, since(),
        ProportionalKib((*vm)->pid()) / 1024);
  }

  TestHost host_;
  std::unique_ptr<VmFactory> factory_;
  fs::path image_;
};

TEST_F(GuestVmTest, BootedRunsAContainer) {
  RunsAContainer(true, host_.config().ephemeral_storage_bytes);
}

TEST_F(GuestVmTest, ClonedRunsAContainer) {
  const uint64_t usual = host_.config().ephemeral_storage_bytes;
  ASSERT_TRUE(factory_->EnsureTemplate({1, 256}, usual));
  RunsAContainer(false, usual);
}

TEST_F(GuestVmTest, ClonedRunsAContainerOnAnotherDisk) {
  RunsAContainer(false, 1u << 30);
}

TEST_F(GuestVmTest, PowersOff) {
  auto vm = factory_->Start({.size = {1, 256}, .work_dir = host_.NewWorkDir()});
  ASSERT_TRUE(vm) << vm.error().message;
  GuestClient client((*vm)->TakeAgent());
  (void)client.Call<api::ShutdownResponse>("Shutdown", api::ShutdownRequest()).has_value();
  pollfd end{.fd = (*vm)->exit_fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&end, 1, 20000), 1);
  EXPECT_EQ((*vm)->ExitReason().substr(0, 25), "QEMU exited with status 0") << (*vm)->ExitReason();
}

}  // namespace
}  // namespace farlet::vm
