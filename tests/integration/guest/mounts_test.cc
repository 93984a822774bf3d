#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace farlet::guest {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class GuestMounts : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      ASSERT_TRUE(Prepare());
    }
  }

  v1::Mount* AddMount(v1::CreateContainerRequest& request,
                      const std::string& destination,
                      const std::vector<std::string>& options) {
    v1::Mount* mount = request.add_mounts();
    mount->set_destination(destination);
    mount->mutable_options()->Assign(options.begin(), options.end());
    return mount;
  }

  void WriteShare(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root() + "/share/" + path).parent_path());
    std::ofstream(root() + "/share/" + path) << text;
  }
};

TEST_F(GuestMounts, WritesStayInTheContainer) {
  auto outcome = Run(MakeShell("c", "echo changed > /etc/passwd; rm /bin/tty; cat /etc/passwd"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "changed\n");
  outcome = Run(MakeShell("c", "cat /etc/passwd; ls /bin/tty"));
  ASSERT_TRUE(outcome);
  EXPECT_THAT(outcome->out, HasSubstr("root:x:0:0"));
  EXPECT_THAT(outcome->out, HasSubstr("/bin/tty"));
}

TEST_F(GuestMounts, LayersTopmostFirst) {
  WriteShare("upper/etc/who", "upper");
  WriteShare("lower/etc/who", "lower");
  WriteShare("lower/etc/only", "only");
  auto request = MakeShell("c", "cat /etc/who /etc/only");
  request.mutable_rootfs()->clear_layers();
  for (const char* path : {"upper", "lower", "s/1"}) {
    request.mutable_rootfs()->add_layers()->set_share_path(path);
  }
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "upperonly");
}

TEST_F(GuestMounts, ReadOnlyRoot) {
  auto request = MakeShell("c", "touch /file; echo x > /tmp/made/file && echo mounted; pwd");
  request.mutable_rootfs()->set_readonly(true);
  request.mutable_process()->set_cwd("/not/there/yet");
  v1::Mount* mount = AddMount(request, "/tmp/made", {"mode=777"});
  mount->set_type("tmpfs");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->err, HasSubstr("Read-only file system"));
  EXPECT_EQ(outcome->out, "mounted\n/not/there/yet\n");
}

TEST_F(GuestMounts, FilesAndFoldersOfTheShare) {
  WriteShare("v/file", "text");
  auto request = MakeShell("c", "cat /data/file /etc/hosts; touch /data/new; touch /ro/new");
  AddMount(request, "/data", {"rbind", "rprivate", "rw"})->set_share_path("v");
  AddMount(request, "/ro", {"rbind", "rprivate", "ro"})->set_share_path("v");
  AddMount(request, "/etc/hosts", {"rbind", "ro"})->set_share_path("v/file");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "texttext");
  EXPECT_THAT(outcome->err, HasSubstr("/ro/new: Read-only file system"));
  EXPECT_TRUE(fs::exists(root() + "/share/v/new"));
}

TEST_F(GuestMounts, FlagsOfMounts) {
  WriteShare("v/file", "");
  auto request = MakeContainer("c", {"cat", "/proc/self/mountinfo"});
  AddMount(request, "/data", {"rbind", "nosuid", "nodev", "noexec", "ro"})->set_share_path("v");
  v1::Mount* mount = AddMount(request, "/fast", {"size=1m", "mode=700", "nosuid"});
  mount->set_type("tmpfs");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_THAT(outcome->out, testing::ContainsRegex("/data ro,nosuid,nodev,noexec"));
  EXPECT_THAT(outcome->out, testing::ContainsRegex("/fast rw,nosuid.*size=1024k,mode=700"));
}

TEST_F(GuestMounts, SymlinksOfAnImageLeadNowhereElse) {
  WriteShare("evil/etc/x", "");
  fs::create_symlink("/", root() + "/share/evil/link");
  fs::create_symlink("../../../../../../..", root() + "/share/evil/up");
  WriteShare("v/file", "text");
  auto request = MakeShell("c", "cat /tmp/a/file /tmp/b/file");
  request.mutable_rootfs()->clear_layers();
  for (const char* path : {"evil", "s/1"}) {
    request.mutable_rootfs()->add_layers()->set_share_path(path);
  }
  AddMount(request, "/link/tmp/a", {"rbind"})->set_share_path("v");
  AddMount(request, "/up/tmp/b", {"rbind"})->set_share_path("v");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "texttext");
  EXPECT_FALSE(fs::exists("/tmp/a/file"));
}

TEST_F(GuestMounts, NothingOutsideTheShare) {
  fs::create_symlink("/etc", root() + "/share/out");
  auto request = MakeShell("c", "true");
  AddMount(request, "/data", {"rbind"})->set_share_path("out/passwd");
  auto created = Create(request);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("mount /data: open out/passwd"));
}

TEST_F(GuestMounts, EmptyDirsAreSharedInThePod) {
  auto request = MakeShell("a",
                           "echo disk > /disk/file; echo memory > /memory/file; stat -c %a /disk "
                           "/memory; df /memory | grep -c 4096");
  const auto add = [&](v1::CreateContainerRequest& to) {
    auto* disk = AddMount(to, "/disk", {"rbind"})->mutable_empty_dir();
    disk->set_name("vol-1");
    auto* memory = AddMount(to, "/memory", {"rbind"})->mutable_empty_dir();
    memory->set_name("vol-2");
    memory->set_memory(true);
    memory->set_size_bytes(4u << 20);
    memory->set_mode(02770);
    memory->set_gid(5);
  };
  add(request);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "777\n2770\n1\n");
  auto second = MakeShell(
      "b", "cat /disk/file /memory/file; cat /below/made/deep; echo x > /below/made/deep");
  add(second);
  auto* below = AddMount(second, "/below", {"rbind"});
  below->mutable_empty_dir()->set_name("vol-1");
  below->set_sub_path("sub/path");
  outcome = Run(second);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "disk\nmemory\n");
  EXPECT_THAT(outcome->err, HasSubstr("/below/made/deep"));
}

TEST_F(GuestMounts, SubPathsStayInside) {
  auto request = MakeShell("a", "ln -s / /disk/link");
  AddMount(request, "/disk", {"rbind"})->mutable_empty_dir()->set_name("vol");
  ASSERT_TRUE(Run(request));
  request = MakeShell("b", "true");
  auto* mount = AddMount(request, "/data", {"rbind"});
  mount->mutable_empty_dir()->set_name("vol");
  mount->set_sub_path("link/etc");
  auto outcome = Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("mount /data"));
}

TEST_F(GuestMounts, ShmIsThePods) {
  auto request = MakeShell("a", "echo x > /dev/shm/file; stat -c %a /dev/shm");
  AddMount(request, "/dev/shm", {"rbind"})->set_shm(true);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "1777\n");
  request = MakeShell("b", "cat /dev/shm/file");
  AddMount(request, "/dev/shm", {"rbind"})->set_shm(true);
  outcome = Run(request);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->out, "x\n");
}

TEST_F(GuestMounts, MaskedAndReadOnlyPaths) {
  auto request = MakeShell(
      "c", "cat /etc/passwd; ls /home | wc -l; touch /tmp/x; ls /proc/acpi; wc -c < /proc/version");
  for (const char* path : {"/etc/passwd", "/home", "/proc/version", "/no/such/path"}) {
    request.add_masked_paths(path);
  }
  request.add_readonly_paths("/tmp");
  request.add_readonly_paths("/no/such/path");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "0\n0\n");
  EXPECT_THAT(outcome->err, HasSubstr("/tmp/x: Read-only file system"));
}

TEST_F(GuestMounts, Devices) {
  auto request = MakeShell(
      "c",
      "echo x > /dev/null && head -c 1 /dev/zero | wc -c; stat -c '%F %t:%T %a %u' /dev/extra; "
      "ls -l /dev/fd /dev/stdin /dev/ptmx | wc -l");
  auto* device = request.add_devices();
  device->set_path("/dev/extra");
  device->set_type("c");
  device->set_major(1);
  device->set_minor(3);
  device->set_file_mode(0640);
  device->set_uid(7);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "1\ncharacter special file 1:3 640 7\n3\n");
}

TEST_F(GuestMounts, PropagationReachesThoseWhoAsk) {
  const auto make = [&](const char* id, const char* script, const char* option) {
    auto request = MakeShell(id, script);
    request.set_rootfs_propagation(option);
    auto* capabilities = request.mutable_process()->mutable_capabilities();
    for (auto* set : {capabilities->mutable_bounding(), capabilities->mutable_effective(),
                      capabilities->mutable_permitted()}) {
      *set->Add() = "CAP_SYS_ADMIN";
    }
    AddMount(request, "/vol", {"rbind", option})->mutable_empty_dir()->set_name("vol");
    return request;
  };
  auto receiver = make("r",
                       "echo up; while ! grep -q from-sender /vol/sub/file 2>/dev/null; do sleep "
                       "0.02; done; echo seen; sleep 1000",
                       "rslave");
  ASSERT_TRUE(Create(receiver));
  ASSERT_TRUE(Start("r"));
  ReadUntil("r", "up");
  auto outcome = Run(
      make("s", "mkdir /vol/sub; mount -t tmpfs none /vol/sub && echo from-sender > /vol/sub/file",
           "rshared"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->err, "");
  ReadUntil("r", "seen");
  // And not those who do not.
  outcome =
      Run(make("p", "cat /vol/sub/file; mount -t tmpfs none /vol/sub && echo mine", "rprivate"));
  ASSERT_TRUE(outcome);
  EXPECT_THAT(outcome->out, HasSubstr("mine"));
  auto look = RunExec("r", MakeProcess({"cat", "/vol/sub/file"}));
  ASSERT_TRUE(look);
  EXPECT_EQ(look->out, "from-sender\n");
}

TEST_F(GuestMounts, WhatCannotBeIsRefused) {
  auto request = MakeShell("c", "true");
  AddMount(request, "/data", {"rbind", "fly"})->set_share_path("s/1");
  auto created = Create(request);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kInvalidArgument);
  EXPECT_THAT(created.error().message, HasSubstr("/data"));
  EXPECT_THAT(created.error().message, HasSubstr("fly"));
  request = MakeShell("c", "true");
  AddMount(request, "/data", {"rbind"})->set_share_path("no/such");
  created = Create(request);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().message, HasSubstr("no/such"));
  request = MakeShell("c", "true");
  AddMount(request, "/data", {})->set_type("ext4");
  EXPECT_FALSE(Create(request));
  request = MakeShell("c", "true");
  AddMount(request, "/data", {})->set_volume("never-synced");
  created = Create(request);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace farlet::guest
