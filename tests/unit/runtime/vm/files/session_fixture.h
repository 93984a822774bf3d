#pragma once

#include "runtime/base/file.h"
#include "runtime/vm/files/confine.h"
#include "tests/unit/runtime/vm/files/fuse_client.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

namespace farlet::files {

// A session over a tree of folders, with share 1 at `share_` and something outside that no request
// may ever reach or change.
class SessionFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "farlet-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    base_ = folder;
    share_ = base_ / "tree" / "s" / "1";
    std::filesystem::create_directories(share_);
    ASSERT_TRUE(WriteFileAtomic(base_ / "secret", "outside", 0600));
    if (::geteuid() == 0) {
      // Once: the bits are locked then.
      static const Status kept = KeepCapabilities();
      ASSERT_TRUE(kept) << kept.error().message;
    }
    old_umask_ = ::umask(0);
    Start({.initialized = true});
  }

  void TearDown() override {
    ::umask(old_umask_);
    const auto secret = ReadFile(base_ / "secret");
    EXPECT_TRUE(secret && *secret == "outside");
    session_.reset();
    std::filesystem::remove_all(base_);
  }

  void Start(const FileServerOptions& options) {
    Session::Roots roots;
    roots.tree = UniqueFd(::open((base_ / "tree").c_str(), O_PATH | O_CLOEXEC));
    roots.proc_fds = UniqueFd(::open("/proc/self/fd", O_PATH | O_CLOEXEC));
    auto session = Session::Create(std::move(roots), options);
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
  }

  Answer Send(uint32_t opcode, uint64_t node, const std::string& body = "") {
    return Ask(*session_, Message(opcode, node, body, uid_, gid_));
  }

  Answer LookUp(uint64_t folder, std::string_view name) {
    return Send(FUSE_LOOKUP, folder, Text(name));
  }

  // The node behind a path from the share's root; 0 when there is none.
  uint64_t NodeOf(const std::string& path) {
    uint64_t node = LookUp(NodeTable::kShares, "1").As<fuse_entry_out>().nodeid;
    for (const auto& part : std::filesystem::path(path)) {
      if (!part.empty() && part != "/") {
        node = LookUp(node, part.string()).As<fuse_entry_out>().nodeid;
      }
    }
    return node;
  }

  Answer Open(uint64_t node, uint32_t flags) {
    return Send(FUSE_OPEN, node, BytesOf(fuse_open_in{.flags = flags}));
  }

  Answer Create(uint64_t folder, std::string_view name, uint32_t flags, uint32_t mode) {
    return Send(FUSE_CREATE, folder,
                BytesOf(fuse_create_in{.flags = flags, .mode = mode}) + Text(name));
  }

  Answer Read(uint64_t node, uint64_t handle, uint64_t offset, uint32_t size) {
    return Send(FUSE_READ, node,
                BytesOf(fuse_read_in{.fh = handle, .offset = offset, .size = size}));
  }

  Answer Write(uint64_t node, uint64_t handle, uint64_t offset, const std::string& data) {
    return Send(FUSE_WRITE, node,
                BytesOf(fuse_write_in{
                    .fh = handle, .offset = offset, .size = static_cast<uint32_t>(data.size())}) +
                    data);
  }

  void Put(const std::string& name, const std::string& content, mode_t mode = 0644) {
    ASSERT_TRUE(WriteFileAtomic(share_ / name, content, mode));
  }

  std::string Content(const std::string& name) {
    const auto content = ReadFile(share_ / name);
    return content ? *content : "<" + content.error().message + ">";
  }

  struct stat Stat(const std::string& name) {
    struct stat info {};

    EXPECT_EQ(::lstat((share_ / name).c_str(), &info), 0) << name;
    return info;
  }

  std::filesystem::path base_;
  std::filesystem::path share_;
  std::unique_ptr<Session> session_;
  uint32_t uid_ = ::geteuid();
  uint32_t gid_ = ::getegid();
  mode_t old_umask_ = 0;
};

}  // namespace farlet::files
