// What no kernel would say.
#include "tests/unit/runtime/vm/files/session_fixture.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <random>
#include <thread>

namespace farlet::files {
namespace {

constexpr uint32_t kLastOpcode = 55;

using SessionHostileTest = SessionFixture;

TEST_F(SessionHostileTest, NamesAreSingleEntries) {
  std::filesystem::create_symlink("/", share_ / "to-root");
  std::filesystem::create_symlink("../../..", share_ / "up");
  std::filesystem::create_symlink("../../../secret", share_ / "to-secret");
  std::filesystem::create_directories(share_ / "folder");
  const uint64_t root = NodeOf("/");
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../secret"),
        std::string("../../../secret"), std::string("/etc/passwd"), std::string("folder/"),
        std::string("to-root/etc"), std::string("/"), std::string(256, 'x')}) {
    EXPECT_EQ(LookUp(root, name).error, EINVAL) << name;
    EXPECT_EQ(Create(root, name, O_RDWR, 0600).error, EINVAL) << name;
    EXPECT_EQ(Send(FUSE_UNLINK, root, Text(name)).error, EINVAL) << name;
    EXPECT_EQ(Send(FUSE_RMDIR, root, Text(name)).error, EINVAL) << name;
    EXPECT_EQ(Send(FUSE_MKDIR, root, BytesOf(fuse_mkdir_in{}) + Text(name)).error, EINVAL) << name;
    EXPECT_EQ(Send(FUSE_RENAME, root,
                   BytesOf(fuse_rename_in{.newdir = root}) + Text("folder") + Text(name))
                  .error,
              EINVAL)
        << name;
  }
  // A symlink is itself and leads nowhere.
  for (const char* name : {"to-root", "up", "to-secret"}) {
    const uint64_t link = NodeOf(name);
    ASSERT_NE(link, 0U) << name;
    EXPECT_EQ(LookUp(link, "secret").error, ENOTDIR);
    EXPECT_EQ(Open(link, O_RDONLY).error, ELOOP);
    EXPECT_EQ(Send(FUSE_OPENDIR, link, BytesOf(fuse_open_in{})).error, ENOTDIR);
    EXPECT_EQ(Create(root, name, O_WRONLY | O_TRUNC, 0600).error, ELOOP);
    EXPECT_EQ(Create(link, "x", O_WRONLY, 0600).error, ENOTDIR);
    EXPECT_NE(
        Send(FUSE_SETATTR, link, BytesOf(fuse_setattr_in{.valid = FATTR_SIZE, .size = 0})).error,
        0);
  }
}

TEST_F(SessionHostileTest, UnknownNodesAndHandlesAreRefused) {
  for (const uint64_t node : {uint64_t{0}, uint64_t{3}, UINT64_MAX, uint64_t{1} << 40}) {
    EXPECT_EQ(LookUp(node, "x").error, ESTALE);
    EXPECT_EQ(Open(node, O_RDONLY).error, ESTALE);
    EXPECT_EQ(Send(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{})).error, ESTALE);
    EXPECT_EQ(Send(FUSE_READLINK, node).error, ESTALE);
    EXPECT_EQ(Create(node, "x", O_RDWR, 0600).error, ESTALE);
    EXPECT_EQ(Read(node, node, 0, 10).error, EBADF);
    EXPECT_EQ(Write(node, node, 0, "x").error, EBADF);
    EXPECT_EQ(Send(FUSE_FLUSH, node, BytesOf(fuse_flush_in{.fh = node})).error, EBADF);
    EXPECT_EQ(Send(FUSE_READDIR, node, BytesOf(fuse_read_in{.fh = node, .size = 100})).error,
              EBADF);
    Send(FUSE_FORGET, node, BytesOf(fuse_forget_in{.nlookup = UINT64_MAX}));
  }
  // A file's handle is no folder's, and the other way round.
  Put("file", "");
  const uint64_t file = Open(NodeOf("file"), O_RDONLY).As<fuse_open_out>().fh;
  EXPECT_EQ(Send(FUSE_READDIR, NodeOf("/"), BytesOf(fuse_read_in{.fh = file, .size = 100})).error,
            EBADF);
  const uint64_t folder =
      Send(FUSE_OPENDIR, NodeOf("/"), BytesOf(fuse_open_in{})).As<fuse_open_out>().fh;
  EXPECT_EQ(Read(NodeOf("/"), folder, 0, 10).error, EBADF);
}

TEST_F(SessionHostileTest, SizesBeyondTheAgreedAreRefused) {
  Put("file", "hello");
  const uint64_t node = NodeOf("file");
  const uint64_t handle = Open(node, O_RDWR).As<fuse_open_out>().fh;
  EXPECT_EQ(Read(node, handle, 0, kMaxWrite + 1).error, EINVAL);
  EXPECT_EQ(Read(node, handle, 0, UINT32_MAX).error, EINVAL);
  EXPECT_EQ(Read(node, handle, UINT64_MAX, 10).error, EINVAL);
  const auto write = [&](uint32_t size, uint64_t offset) {
    return Send(FUSE_WRITE, node,
                BytesOf(fuse_write_in{.fh = handle, .offset = offset, .size = size}) + "abc");
  };
  EXPECT_EQ(write(4, 0).error, EINVAL);  // says more than it brings
  EXPECT_EQ(write(UINT32_MAX, 0).error, EINVAL);
  EXPECT_EQ(write(3, UINT64_MAX).error, EINVAL);
  EXPECT_EQ(Content("file"), "hello");
  const auto xattr = [&](uint32_t size) {
    const std::array<uint32_t, 2> head{size, 0};
    return Send(FUSE_SETXATTR, node, BytesOf(head) + Text("user.x") + "abc");
  };
  EXPECT_EQ(xattr(4).error, EINVAL);
  EXPECT_EQ(xattr(UINT32_MAX).error, EINVAL);
  Send(FUSE_BATCH_FORGET, 0, BytesOf(fuse_batch_forget_in{.count = UINT32_MAX}) + "abc");
  EXPECT_EQ(Read(node, handle, 0, 10).body, "hello");
}

TEST_F(SessionHostileTest, TruncatedRequestsAreRefused) {
  Put("file", "hello");
  const std::string body(200, '\x01');  // no zero byte, so no name ends
  const uint64_t node = NodeOf("file");
  // The sizes below which each is too short. Those with a name are never long enough here.
  for (const auto& [opcode, size] : std::initializer_list<std::pair<uint32_t, size_t>>{
           {FUSE_GETATTR, sizeof(fuse_getattr_in)},
           {FUSE_SETATTR, sizeof(fuse_setattr_in)},
           {FUSE_OPEN, sizeof(fuse_open_in)},
           {FUSE_OPENDIR, sizeof(fuse_open_in)},
           {FUSE_READ, sizeof(fuse_read_in)},
           {FUSE_READDIR, sizeof(fuse_read_in)},
           {FUSE_READDIRPLUS, sizeof(fuse_read_in)},
           {FUSE_WRITE, sizeof(fuse_write_in)},
           {FUSE_FLUSH, sizeof(fuse_flush_in)},
           {FUSE_FSYNC, sizeof(fuse_fsync_in)},
           {FUSE_FSYNCDIR, sizeof(fuse_fsync_in)},
           {FUSE_RELEASE, sizeof(fuse_release_in)},
           {FUSE_RELEASEDIR, sizeof(fuse_release_in)},
           {FUSE_FALLOCATE, sizeof(fuse_fallocate_in)},
           {FUSE_LSEEK, sizeof(fuse_lseek_in)},
           {FUSE_COPY_FILE_RANGE, sizeof(fuse_copy_file_range_in)},
           {FUSE_LISTXATTR, sizeof(fuse_getxattr_in)},
           {FUSE_LOOKUP, body.size()},
           {FUSE_SYMLINK, body.size()},
           {FUSE_MKNOD, body.size()},
           {FUSE_MKDIR, body.size()},
           {FUSE_UNLINK, body.size()},
           {FUSE_RMDIR, body.size()},
           {FUSE_RENAME, body.size()},
           {FUSE_RENAME2, body.size()},
           {FUSE_LINK, body.size()},
           {FUSE_CREATE, body.size()},
           {FUSE_SETXATTR, body.size()},
           {FUSE_GETXATTR, body.size()},
           {FUSE_REMOVEXATTR, body.size()}}) {
    for (size_t length = 0; length < size; ++length) {
      const Answer answer = Send(opcode, node, body.substr(0, length));
      EXPECT_TRUE(answer.there);
      EXPECT_EQ(answer.error, EINVAL) << opcode << " " << length;
      EXPECT_TRUE(answer.body.empty());
    }
  }
  EXPECT_EQ(Content("file"), "hello");
}

TEST_F(SessionHostileTest, TextWithoutAnEndIsRefused) {
  EXPECT_EQ(Send(FUSE_LOOKUP, NodeTable::kRoot, "s").error, EINVAL);
  EXPECT_EQ(Send(FUSE_LOOKUP, NodeTable::kRoot, "").error, EINVAL);
  EXPECT_EQ(Send(FUSE_SYMLINK, NodeOf("/"), Text("name") + "target").error, EINVAL);
  EXPECT_EQ(Send(FUSE_RENAME, NodeOf("/"),
                 BytesOf(fuse_rename_in{.newdir = NodeOf("/")}) + Text("a") + "b")
                .error,
            EINVAL);
}

TEST_F(SessionHostileTest, NodesAndHandlesHaveLimits) {
  Start({.initialized = true, .max_nodes = 10, .max_handles = 5});
  for (int i = 0; i < 20; ++i) {
    Put(std::to_string(i), "");
  }
  const uint64_t root = NodeOf("/");
  int found = 0;
  for (int i = 0; i < 20; ++i) {
    const int error = LookUp(root, std::to_string(i)).error;
    EXPECT_TRUE(error == 0 || error == ENFILE);
    found += error == 0 ? 1 : 0;
  }
  EXPECT_EQ(found, 7);
  EXPECT_EQ(session_->nodes(), 10U);
  const uint64_t node = NodeOf("0");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Open(node, O_RDONLY).error, i < 5 ? 0 : ENFILE);
  }
  EXPECT_EQ(session_->handles(), 5U);
}

TEST_F(SessionHostileTest, RandomMessagesDoNoHarm) {
  Put("file", "hello");
  std::filesystem::create_directories(share_ / "folder");
  std::mt19937 random(4711);  // NOLINT(cert-msc51-cpp): the same run every time
  const auto below = [&](uint32_t limit) { return random() % limit; };
  for (int i = 0; i < 20000; ++i) {
    std::string body(below(200), '\0');
    for (char& byte : body) {
      byte = below(3) == 0 ? '\0' : static_cast<char>(below(256));
    }
    const std::array<uint64_t, 4> nodes{NodeTable::kRoot, NodeTable::kShares, NodeOf("/"),
                                        NodeOf("file")};
    const uint32_t opcode = below(kLastOpcode);
    if (opcode != FUSE_DESTROY) {
      Send(opcode, nodes.at(below(nodes.size())), body);
    }
  }
  EXPECT_NE(NodeOf("/"), 0U);
}

// Somebody on the host swaps a folder for a symlink while the guest works in it.
TEST_F(SessionHostileTest, ASwapOfFolderAndSymlinkLeadsNowhere) {
  std::filesystem::create_directories(share_ / "real");
  std::filesystem::create_directories(base_ / "outside");
  ASSERT_TRUE(WriteFileAtomic(base_ / "outside" / "file", "outside", 0600));
  ASSERT_TRUE(WriteFileAtomic(share_ / "real" / "file", "inside", 0600));
  std::filesystem::create_directory_symlink(base_ / "outside", share_ / "link");
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    while (!stop) {
      ::renameat2(AT_FDCWD, (share_ / "real").c_str(), AT_FDCWD, (share_ / "link").c_str(),
                  RENAME_EXCHANGE);
    }
  });
  int reached = 0;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t folder = NodeOf("real");
    const uint64_t file = LookUp(folder, "file").As<fuse_entry_out>().nodeid;
    const Answer opened = Open(file, O_RDONLY);
    if (opened.error == 0) {
      const auto handle = opened.As<fuse_open_out>().fh;
      EXPECT_EQ(Read(file, handle, 0, 100).body, "inside");
      Send(FUSE_RELEASE, file, BytesOf(fuse_release_in{.fh = handle}));
      ++reached;
    }
    Create(folder, "new", O_WRONLY | O_TRUNC, 0600);
  }
  stop = true;
  swapper.join();
  EXPECT_GT(reached, 0);
  EXPECT_FALSE(std::filesystem::exists(base_ / "outside" / "new"));
}

}  // namespace
}  // namespace farlet::files
