// The file server as it runs for a VM: a confined process over a share tree. The guest is a relay
// between this host's /dev/fuse and the channel, so the requests are a real kernel's. Needs root
// and /dev/fuse; skipped otherwise.
#include "runtime/vm/files/file_server.h"

#include "runtime/base/file.h"
#include "runtime/vm/files/share_tree.h"
#include "tests/unit/runtime/vm/files/fuse_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace farlet::files {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool EnterMountNamespace() {
  static const bool entered = ::unshare(CLONE_NEWNS) == 0 &&
                              ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return entered;
}

std::string Read(const fs::path& path) {
  const auto content = ReadFile(path);
  return content ? *content : "<" + content.error().message + ">";
}

void Write(const fs::path& path, const std::string& content) {
  const Status written = WriteFileAtomic(path, content, 0644);
  EXPECT_TRUE(written) << written.error().message;
}

// Copies messages both ways, as the guest agent does.
class Relay {
 public:
  Relay(int fuse, UniqueFd channel) : fuse_(fuse), channel_(std::move(channel)) {
    to_server_ = std::thread([this] { ToServer(); });
    to_kernel_ = std::thread([this] { ToKernel(); });
  }

  // After the unmount.
  ~Relay() {
    to_server_.join();
    to_kernel_.join();
  }

 private:
  void ToServer() {
    std::vector<char> buffer(kMaxRequest);
    while (true) {
      const ssize_t count = ::read(fuse_, buffer.data(), buffer.size());
      if (count < 0 && (errno == EINTR || errno == ENOENT)) {
        continue;
      }
      if (count <= 0) {
        ::shutdown(channel_.get(), SHUT_RDWR);
        return;
      }
      if (::send(channel_.get(), buffer.data(), static_cast<size_t>(count), MSG_NOSIGNAL) < 0) {
        return;
      }
    }
  }

  void ToKernel() {
    std::vector<char> buffer(kMaxReply);
    size_t size = 0;
    while (true) {
      uint32_t length = 0;
      std::memcpy(&length, buffer.data(), sizeof(length));
      if (size >= sizeof(fuse_out_header) && size >= length) {
        // ENOENT: the request was interrupted meanwhile.
        (void)!::write(fuse_, buffer.data(), length);
        std::memmove(buffer.data(), buffer.data() + length, size - length);
        size -= length;
        continue;
      }
      const ssize_t count = ::read(channel_.get(), buffer.data() + size, buffer.size() - size);
      if (count <= 0) {
        return;
      }
      size += static_cast<size_t>(count);
    }
  }

  int fuse_;
  UniqueFd channel_;
  std::thread to_server_;
  std::thread to_kernel_;
};

class FileServerTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !EnterMountNamespace()) {
      GTEST_SKIP() << "needs root and a mount namespace of its own";
    }
    std::string folder = (fs::temp_directory_path() / "farlet-fuse-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    base_ = folder;
    ASSERT_EQ(::chmod(base_.c_str(), 0755), 0);  // other users come by
    host_ = base_ / "host";
    fs::create_directories(host_);
    fs::create_directories(base_ / "guest");
    auto tree = ShareTree::Create();
    ASSERT_TRUE(tree) << tree.error().message;
    tree_ = std::move(*tree);
    fuse_ = UniqueFd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    if (!fuse_.valid()) {
      GTEST_SKIP() << "no /dev/fuse here";
    }
  }

  void TearDown() override {
    if (relay_) {
      EXPECT_EQ(::umount2((base_ / "guest").c_str(), MNT_DETACH), 0);
      fuse_.Close();
      relay_.reset();
    }
    if (server_ > 0) {
      int status = 0;
      ::waitpid(server_, &status, 0);
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
    tree_.reset();
    if (!base_.empty()) {
      ::umount2(host_.c_str(), MNT_DETACH);
      fs::remove_all(base_);
    }
  }

  UniqueFd StartServer(const FileServerOptions& options) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
    UniqueFd guest(ends[0]);
    UniqueFd channel(ends[1]);
    server_ = ::fork();
    if (server_ == 0) {
      guest.Close();
      const Status served =
          RunFileServer(std::move(channel), UniqueFd(::dup(tree_->namespace_fd())), options);
      if (!served) {
        (void)!::write(2, served.error().message.data(), served.error().message.size());
      }
      ::_exit(served ? 0 : 1);
    }
    return guest;
  }

  void Mount(const FileServerOptions& options = {}) {
    UniqueFd channel = StartServer(options);
    const std::string data = "fd=" + std::to_string(fuse_.get()) +
                             ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
    ASSERT_EQ(::mount("farlet", (base_ / "guest").c_str(), "fuse", 0, data.c_str()), 0);
    relay_ = std::make_unique<Relay>(fuse_.get(), std::move(channel));
  }

  fs::path Share(const fs::path& host_path, ShareOptions options = {}) {
    const auto share = tree_->Add(host_path, options);
    EXPECT_TRUE(share) << share.error().message;
    last_share_ = share ? share->number : 0;
    return base_ / "guest" / (share ? share->path : "none");
  }

  // Runs `step` in a child of uid and gid; its exit code.
  template <class Step>
  int As(uid_t uid, gid_t gid, std::vector<gid_t> groups, const Step& step) {
    const pid_t child = ::fork();
    if (child == 0) {
      const bool ready = ::setgroups(groups.size(), groups.data()) == 0 &&
                         ::setresgid(gid, gid, gid) == 0 && ::setresuid(uid, uid, uid) == 0;
      ::_exit(ready ? step() : 255);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  fs::path base_;
  fs::path host_;
  std::unique_ptr<ShareTree> tree_;
  UniqueFd fuse_;
  std::unique_ptr<Relay> relay_;
  pid_t server_ = -1;
  uint32_t last_share_ = 0;
};

TEST_F(FileServerTest, FilesPassBothWays) {
  Mount();
  const fs::path guest = Share(host_);  // added while it runs
  Write(host_ / "from-host", "hello");
  EXPECT_EQ(Read(guest / "from-host"), "hello");
  Write(guest / "from-guest", "hi");
  EXPECT_EQ(Read(host_ / "from-guest"), "hi");
  fs::create_directories(guest / "a" / "b" / "c");
  EXPECT_TRUE(fs::is_directory(host_ / "a" / "b" / "c"));
  fs::create_symlink("b/c", guest / "a" / "link");
  EXPECT_EQ(fs::read_symlink(host_ / "a" / "link"), "b/c");
  fs::rename(guest / "a" / "b", guest / "z");
  EXPECT_TRUE(fs::exists(host_ / "z" / "c"));
  fs::create_hard_link(guest / "from-guest", guest / "second");
  EXPECT_EQ(fs::hard_link_count(guest / "second"), 2U);
  EXPECT_EQ(fs::remove_all(guest / "z"), 2U);
  EXPECT_FALSE(fs::exists(host_ / "z"));
  const std::string large(5'000'000, 'x');
  Write(guest / "large", large);
  EXPECT_TRUE(Read(host_ / "large") == large);
  EXPECT_TRUE(Read(guest / "large") == large);
}

TEST_F(FileServerTest, HostChangesShowUp) {
  Mount({.cache_time = std::chrono::milliseconds(0)});
  // As kubelet keeps a configMap: names are links through ..data, which is exchanged.
  for (const char* version : {"v1", "v2"}) {
    fs::create_directories(host_ / version);
    Write(host_ / version / "key", version);
  }
  fs::create_directory_symlink("v1", host_ / "..data");
  fs::create_symlink("..data/key", host_ / "key");
  const fs::path guest = Share(host_);
  EXPECT_EQ(Read(guest / "key"), "v1");
  fs::create_directory_symlink("v2", host_ / "..data_tmp");
  fs::rename(host_ / "..data_tmp", host_ / "..data");
  EXPECT_EQ(Read(guest / "key"), "v2");
  // In place, with the file held open.
  const UniqueFd open(::open((guest / "v2" / "key").c_str(), O_RDONLY | O_CLOEXEC));
  std::ofstream(host_ / "v2" / "key") << "longer content";
  EXPECT_EQ(Read(guest / "key"), "longer content");
  fs::remove(host_ / "key");
  EXPECT_FALSE(fs::exists(guest / "key"));
}

TEST_F(FileServerTest, ReadOnlySharesAreReadOnlyAndSingleFilesAreShared) {
  Mount();
  Write(host_ / "file", "content");
  const fs::path guest = Share(host_, {.read_only = true});
  EXPECT_EQ(Read(guest / "file"), "content");
  EXPECT_EQ(::open((guest / "file").c_str(), O_RDWR | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::mkdir((guest / "x").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::chmod((guest / "file").c_str(), 0600), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::unlink((guest / "file").c_str()), -1);
  EXPECT_EQ(errno, EROFS);
  // The same file, writable through another share.
  const fs::path single = Share(host_ / "file");
  EXPECT_EQ(::truncate(single.c_str(), 3), 0);
  EXPECT_EQ(Read(host_ / "file"), "con");
  EXPECT_EQ(::open((guest / "file").c_str(), O_RDWR | O_CLOEXEC), -1);
  EXPECT_EQ(::mkdir((base_ / "guest" / "s" / "x").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(FileServerTest, WhatIsMountedBelowAReadOnlyShareMayStayWritable) {
  fs::create_directories(host_ / "below");
  ASSERT_EQ(::mount("below", (host_ / "below").c_str(), "tmpfs", 0, ""), 0);
  Mount();
  const fs::path guest = Share(host_, {.read_only = true, .writable_below = true});
  Write(guest / "below" / "file", "content");
  EXPECT_EQ(Read(host_ / "below" / "file"), "content");
  EXPECT_EQ(::mkdir((guest / "x").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
  const fs::path all = Share(host_, {.read_only = true});
  EXPECT_EQ(::mkdir((all / "below" / "x").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::umount2((host_ / "below").c_str(), MNT_DETACH), 0);
}

TEST_F(FileServerTest, SharesAreRemoved) {
  Mount({.cache_time = std::chrono::milliseconds(0)});
  Write(host_ / "file", "content");
  const fs::path guest = Share(host_);
  const UniqueFd open(::open((guest / "file").c_str(), O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(tree_->Remove(last_share_));
    EXPECT_FALSE(fs::exists(guest));
  }
  std::array<char, 16> buffer{};
  EXPECT_EQ(::read(open.get(), buffer.data(), buffer.size()), 7);
  const fs::path next = Share(host_ / "file");
  EXPECT_NE(next, guest);
  EXPECT_EQ(Read(next), "content");
  const auto missing = tree_->Add(host_ / "missing", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr((host_ / "missing").string()));
  EXPECT_THAT(Read("/proc/self/mountinfo"), testing::Not(HasSubstr("/s/")));
}

TEST_F(FileServerTest, LaterMountsOfTheHostShowUpWhereAskedFor) {
  ASSERT_EQ(::mount(host_.c_str(), host_.c_str(), nullptr, MS_BIND, nullptr), 0);
  ASSERT_EQ(::mount(nullptr, host_.c_str(), nullptr, MS_SHARED, nullptr), 0);
  fs::create_directories(host_ / "later");
  Mount({.cache_time = std::chrono::milliseconds(0)});
  const fs::path follows = Share(host_);
  const fs::path stays = Share(host_, {.follow_mounts = false});
  ASSERT_EQ(::mount("t", (host_ / "later").c_str(), "tmpfs", 0, nullptr), 0);
  Write(host_ / "later" / "file", "mounted");
  EXPECT_EQ(Read(follows / "later" / "file"), "mounted");
  EXPECT_FALSE(fs::exists(stays / "later" / "file"));
  ASSERT_EQ(::umount2((host_ / "later").c_str(), MNT_DETACH), 0);
  EXPECT_FALSE(fs::exists(follows / "later" / "file"));
}

TEST_F(FileServerTest, UsersOwnWhatTheyMakeAndGroupsOpenFolders) {
  Mount();
  ASSERT_EQ(::chown(host_.c_str(), 0, 2000), 0);
  ASSERT_EQ(::chmod(host_.c_str(), 02770), 0);
  const fs::path guest = Share(host_);
  const auto make = [&] {
    return ::open((guest / "file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0664) < 0 ? errno : 0;
  };
  EXPECT_EQ(As(1000, 1000, {}, make), EACCES);
  EXPECT_EQ(As(1000, 1000, {2000}, make), 0);

  struct stat info {};

  ASSERT_EQ(::stat((host_ / "file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  EXPECT_EQ(info.st_gid, 2000U);
  ASSERT_EQ(::chmod((guest / "file").c_str(), 06755), 0);
  ASSERT_EQ(::stat((host_ / "file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 06755U);
  // A write by somebody takes the set-ID bits away.
  EXPECT_EQ(As(1000, 1000, {2000},
               [&] {
                 const UniqueFd file(::open((guest / "file").c_str(), O_WRONLY | O_CLOEXEC));
                 return ::write(file.get(), "x", 1) == 1 ? 0 : errno;
               }),
            0);
  ASSERT_EQ(::stat((host_ / "file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 00755U);
  EXPECT_EQ(::mknod((guest / "device").c_str(), S_IFCHR | 0600, 0x103), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(FileServerTest, MappedFilesLocksHolesAndAttributes) {
  Mount();
  const fs::path guest = Share(host_);
  Write(guest / "file", std::string(8192, 'a'));
  const UniqueFd file(::open((guest / "file").c_str(), O_RDWR | O_CLOEXEC));
  void* map = ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  ASSERT_NE(map, MAP_FAILED);
  std::memcpy(static_cast<char*>(map) + 4096, "mapped", 6);
  EXPECT_EQ(::msync(map, 8192, MS_SYNC), 0);
  ::munmap(map, 8192);
  EXPECT_EQ(Read(host_ / "file").substr(4096, 8), "mappedaa");
  EXPECT_EQ(::flock(file.get(), LOCK_EX), 0);
  const UniqueFd other(::open((guest / "file").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), -1);
  EXPECT_EQ(::fallocate(file.get(), 0, 0, 1 << 20), 0);
  EXPECT_EQ(fs::file_size(host_ / "file"), 1U << 20);
  EXPECT_EQ(::pwrite(file.get(), "data", 4, 65536), 4);
  EXPECT_EQ(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
  EXPECT_EQ(::lseek(file.get(), 0, SEEK_DATA), 65536);
  ASSERT_EQ(::setxattr((guest / "file").c_str(), "user.x", "y", 1, 0), 0);
  std::array<char, 64> value{};
  EXPECT_EQ(::getxattr((host_ / "file").c_str(), "user.x", value.data(), value.size()), 1);
  EXPECT_EQ(::listxattr((guest / "file").c_str(), value.data(), value.size()), 7);
  const UniqueFd append(::open((guest / "log").c_str(), O_CREAT | O_APPEND | O_WRONLY, 0600));
  EXPECT_EQ(::write(append.get(), "one", 3), 3);
  std::ofstream(host_ / "log", std::ios::app) << "two";
  EXPECT_EQ(::write(append.get(), "three", 5), 5);
  EXPECT_EQ(Read(host_ / "log"), "onetwothree");
}

TEST_F(FileServerTest, ManyFilesWithFewDescriptors) {
  Mount({.max_node_fds = 256});
  const fs::path guest = Share(host_);
  for (int folder = 0; folder < 20; ++folder) {
    fs::create_directories(host_ / std::to_string(folder) / "deep");
    for (int i = 0; i < 60; ++i) {
      std::ofstream(host_ / std::to_string(folder) / "deep" / std::to_string(i)) << folder << i;
    }
  }
  for (int pass = 0; pass < 2; ++pass) {
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(guest)) {
      files += entry.is_regular_file() ? 1 : 0;
    }
    EXPECT_EQ(files, 1200);
  }
  for (int folder = 0; folder < 20; ++folder) {
    EXPECT_EQ(Read(guest / std::to_string(folder) / "deep" / "7"), std::to_string(folder) + "7");
  }
  EXPECT_LE(std::distance(fs::directory_iterator("/proc/" + std::to_string(server_) + "/fd"), {}),
            300);
}

TEST_F(FileServerTest, IsConfined) {
  Mount();
  const fs::path guest = Share(host_);
  Write(guest / "file", std::string(1'000'000, 'x'));
  const std::string proc = "/proc/" + std::to_string(server_);
  const std::string status = Read(proc + "/status");
  // CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID
  EXPECT_THAT(status, HasSubstr("CapPrm:\t00000000000000cb"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t00000000000000cb"));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t00000000000000cb"));
  EXPECT_THAT(status, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  // Nothing but the tree is in sight, and the only descriptors are those it needs.
  std::vector<std::string> root;
  for (const auto& entry : fs::directory_iterator(proc + "/root/")) {
    root.push_back(entry.path().filename());
  }
  EXPECT_THAT(root, testing::ElementsAre("s"));
  for (const auto& entry : fs::directory_iterator(proc + "/fd")) {
    const std::string target = fs::read_symlink(entry.path());
    if (std::stoi(entry.path().filename()) > 2) {
      EXPECT_TRUE(target.starts_with("socket:") || target.starts_with("/s") || target == "/" ||
                  target.find("/fd") != std::string::npos || target.starts_with("/file"))
          << target;
    }
  }
}

TEST_F(FileServerTest, ContinuesASessionAndKeepsCachesOfUnchangedFiles) {
  ASSERT_TRUE(tree_->Add("/usr/bin", {.read_only = true}));
  const UniqueFd channel = StartServer({.initialized = true});
  const auto ask = [&](const std::string& message) {
    EXPECT_EQ(::send(channel.get(), message.data(), message.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(message.size()));
    std::string reply(kMaxReply, '\0');
    const ssize_t count = ::recv(channel.get(), reply.data(), reply.size(), 0);
    reply.resize(count > 0 ? static_cast<size_t>(count) : 0);
    Answer answer;
    if (reply.size() >= sizeof(fuse_out_header)) {
      fuse_out_header header{};
      std::memcpy(&header, reply.data(), sizeof(header));
      answer.there = header.len == reply.size();
      answer.error = -header.error;
      answer.body = reply.substr(sizeof(header));
    }
    return answer;
  };
  const auto look_up = [&](uint64_t parent, std::string_view name) {
    return ask(Message(FUSE_LOOKUP, parent, Text(name))).As<fuse_entry_out>().nodeid;
  };
  const uint64_t node = look_up(look_up(2, "1"), "env");
  ASSERT_NE(node, 0U);
  const std::string open = Message(FUSE_OPEN, node, BytesOf(fuse_open_in{.flags = O_RDONLY}));
  EXPECT_EQ(ask(open).As<fuse_open_out>().open_flags, 0U);
  EXPECT_EQ(ask(open).As<fuse_open_out>().open_flags, static_cast<uint32_t>(FOPEN_KEEP_CACHE));
  EXPECT_EQ(ask(Message(FUSE_DESTROY, 0, "")).error, 0);  // and TearDown sees it exit with 0
}

TEST_F(FileServerTest, EndsWithTheChannelAndRefusesABrokenStream) {
  { const UniqueFd channel = StartServer({.initialized = true}); }
  int status = 0;
  ASSERT_EQ(::waitpid(server_, &status, 0), server_);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  const UniqueFd channel = StartServer({.initialized = true});
  const std::string garbage(100, '\xff');
  ASSERT_EQ(::send(channel.get(), garbage.data(), garbage.size(), MSG_NOSIGNAL), 100);
  ASSERT_EQ(::waitpid(server_, &status, 0), server_);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  server_ = -1;
}

}  // namespace
}  // namespace farlet::files
