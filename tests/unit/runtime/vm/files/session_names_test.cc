// Entries: made, found, moved, removed.
#include "tests/unit/runtime/vm/files/session_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/fs.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace farlet::files {
namespace {

using testing::Contains;
using testing::UnorderedElementsAre;

class SessionNamesTest : public SessionFixture {
 protected:
  Answer Rename(uint64_t from, std::string_view name, uint64_t to, std::string_view new_name) {
    return Send(FUSE_RENAME, from,
                BytesOf(fuse_rename_in{.newdir = to}) + Text(name) + Text(new_name));
  }

  Answer Rename2(uint64_t folder, std::string_view name, std::string_view to, uint32_t flags) {
    return Send(FUSE_RENAME2, folder,
                BytesOf(fuse_rename2_in{.newdir = folder, .flags = flags}) + Text(name) + Text(to));
  }

  Answer MakeNode(uint64_t folder, std::string_view name, uint32_t mode) {
    return Send(FUSE_MKNOD, folder, BytesOf(fuse_mknod_in{.mode = mode}) + Text(name));
  }

  Answer MakeFolder(uint64_t folder, std::string_view name, uint32_t mode) {
    return Send(FUSE_MKDIR, folder, BytesOf(fuse_mkdir_in{.mode = mode}) + Text(name));
  }

  uint64_t OpenFolder(uint64_t node) {
    return Send(FUSE_OPENDIR, node, BytesOf(fuse_open_in{})).As<fuse_open_out>().fh;
  }

  static std::vector<std::string> Sorted(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return names;
  }

  // The names of a folder, listed `size` bytes at a time.
  std::vector<std::string> List(uint64_t node, uint32_t size, bool plus) {
    const uint64_t handle = OpenFolder(node);
    std::vector<std::string> names;
    uint64_t offset = 0;
    while (true) {
      const Answer answer =
          Send(plus ? FUSE_READDIRPLUS : FUSE_READDIR, node,
               BytesOf(fuse_read_in{.fh = handle, .offset = offset, .size = size}));
      EXPECT_EQ(answer.error, 0);
      EXPECT_LE(answer.body.size(), size);
      if (answer.body.empty()) {
        break;
      }
      const size_t head = plus ? sizeof(fuse_entry_out) : 0;
      for (size_t begin = 0; begin < answer.body.size();) {
        const auto entry = answer.As<fuse_dirent>(begin + head);
        names.push_back(answer.body.substr(begin + head + FUSE_NAME_OFFSET, entry.namelen));
        offset = entry.off;
        begin += (head + FUSE_NAME_OFFSET + entry.namelen + 7) & ~size_t{7};
      }
    }
    Send(FUSE_RELEASEDIR, node, BytesOf(fuse_release_in{.fh = handle}));
    return names;
  }
};

TEST_F(SessionNamesTest, MakesEntriesOfTheCaller) {
  if (::geteuid() == 0) {
    uid_ = 1234;
    gid_ = 5678;
  }
  const uint64_t root = NodeOf("/");
  EXPECT_EQ(MakeFolder(root, "folder", S_IFDIR | 0750).error, 0);
  EXPECT_EQ(MakeNode(root, "fifo", S_IFIFO | 0640).error, 0);
  EXPECT_EQ(MakeNode(root, "file", S_IFREG | 0604).error, 0);
  EXPECT_EQ(MakeNode(root, "socket", S_IFSOCK | 0600).error, 0);
  EXPECT_EQ(Send(FUSE_SYMLINK, root, Text("link") + Text("folder")).error, 0);
  EXPECT_EQ(Create(root, "created", O_RDWR, 0600).error, 0);
  for (const char* name : {"folder", "fifo", "file", "socket", "link", "created"}) {
    EXPECT_EQ(Stat(name).st_uid, uid_) << name;
    EXPECT_EQ(Stat(name).st_gid, gid_) << name;
  }
  EXPECT_EQ(Stat("folder").st_mode, static_cast<mode_t>(S_IFDIR | 0750));
  EXPECT_EQ(Stat("fifo").st_mode, static_cast<mode_t>(S_IFIFO | 0640));
  EXPECT_EQ(Stat("file").st_mode, static_cast<mode_t>(S_IFREG | 0604));
  EXPECT_TRUE(S_ISSOCK(Stat("socket").st_mode));
  EXPECT_TRUE(S_ISLNK(Stat("link").st_mode));
}

TEST_F(SessionNamesTest, ACallerOfAnotherUidMakesEntriesInAFolderThatIsNotHis) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  // As with a volume of group 2000 and a container user that is in it: the guest's kernel knows his
  // groups and decided; the request does not carry them.
  ASSERT_EQ(::chown(share_.c_str(), 0, 2000), 0);
  ASSERT_EQ(::chmod(share_.c_str(), 02770), 0);
  uid_ = 1000;
  gid_ = 1000;
  EXPECT_EQ(Create(NodeOf("/"), "file", O_WRONLY, 0660).error, 0);
  EXPECT_EQ(Stat("file").st_uid, 1000U);
  EXPECT_EQ(Stat("file").st_gid, 2000U);
  uid_ = UINT32_MAX;
  EXPECT_EQ(Create(NodeOf("/"), "other", O_WRONLY, 0660).error, EINVAL);
  EXPECT_FALSE(std::filesystem::exists(share_ / "other"));
}

TEST_F(SessionNamesTest, DoesNotMakeDevices) {
  for (const uint32_t type : {S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK}) {
    EXPECT_EQ(MakeNode(NodeOf("/"), "x", type | 0600).error, EPERM);
  }
  EXPECT_TRUE(std::filesystem::is_empty(share_));
}

TEST_F(SessionNamesTest, LinksAndRemoves) {
  Put("file", "content");
  std::filesystem::create_directories(share_ / "folder" / "full");
  const uint64_t root = NodeOf("/");
  const Answer linked =
      Send(FUSE_LINK, root, BytesOf(fuse_link_in{.oldnodeid = NodeOf("file")}) + Text("second"));
  EXPECT_EQ(linked.error, 0);
  EXPECT_EQ(linked.As<fuse_entry_out>().nodeid, NodeOf("file"));
  EXPECT_EQ(linked.As<fuse_entry_out>().attr.nlink, 2U);
  EXPECT_EQ(Send(FUSE_UNLINK, root, Text("file")).error, 0);
  EXPECT_EQ(Content("second"), "content");
  EXPECT_EQ(Send(FUSE_UNLINK, root, Text("file")).error, ENOENT);
  EXPECT_EQ(Send(FUSE_UNLINK, root, Text("folder")).error, EISDIR);
  EXPECT_EQ(Send(FUSE_RMDIR, root, Text("folder")).error, ENOTEMPTY);
  EXPECT_EQ(Send(FUSE_RMDIR, NodeOf("folder"), Text("full")).error, 0);
  EXPECT_EQ(Send(FUSE_RMDIR, root, Text("folder")).error, 0);
}

TEST_F(SessionNamesTest, Renames) {
  Put("a", "a");
  Put("b", "b");
  std::filesystem::create_directories(share_ / "folder");
  const uint64_t root = NodeOf("/");
  const uint64_t a = NodeOf("a");
  EXPECT_EQ(Rename2(root, "a", "b", RENAME_NOREPLACE).error, EEXIST);
  EXPECT_EQ(Rename2(root, "a", "b", RENAME_EXCHANGE).error, 0);
  EXPECT_EQ(Content("b"), "a");
  EXPECT_EQ(NodeOf("b"), a);
  EXPECT_EQ(Rename2(root, "a", "b", RENAME_WHITEOUT).error, EINVAL);
  EXPECT_EQ(Rename(root, "b", NodeOf("folder"), "moved").error, 0);
  EXPECT_EQ(Content("folder/moved"), "a");
  EXPECT_EQ(Rename(root, "none", root, "x").error, ENOENT);
}

TEST_F(SessionNamesTest, CreatesOpensOrRefuses) {
  Put("there", "old");
  const uint64_t root = NodeOf("/");
  EXPECT_EQ(Create(root, "there", O_RDWR | O_EXCL, 0600).error, EEXIST);
  const Answer opened = Create(root, "there", O_RDWR, 0600);
  ASSERT_EQ(opened.error, 0);
  EXPECT_EQ(opened.body.size(), sizeof(fuse_entry_out) + sizeof(fuse_open_out));
  const auto handle = opened.As<fuse_open_out>(sizeof(fuse_entry_out)).fh;
  EXPECT_EQ(Read(opened.As<fuse_entry_out>().nodeid, handle, 0, 100).body, "old");
  EXPECT_EQ(Create(root, "there", O_WRONLY | O_TRUNC, 0600).error, 0);
  EXPECT_EQ(Content("there"), "");
  std::filesystem::create_symlink("there", share_ / "link");
  EXPECT_EQ(Create(root, "link", O_WRONLY, 0600).error, ELOOP);
}

TEST_F(SessionNamesTest, NeverOpensWhatIsNoRegularFile) {
  ASSERT_EQ(::mkfifo((share_ / "fifo").c_str(), 0600), 0);
  // Either would wait for the other end.
  EXPECT_EQ(Open(NodeOf("fifo"), O_RDONLY).error, EOPNOTSUPP);
  EXPECT_EQ(Create(NodeOf("/"), "fifo", O_WRONLY, 0600).error, EOPNOTSUPP);
  EXPECT_EQ(Open(NodeOf("/"), O_RDONLY).error, EISDIR);
}

TEST_F(SessionNamesTest, ListsFolders) {
  std::vector<std::string> expected{".", ".."};
  for (int i = 0; i < 500; ++i) {
    expected.push_back("entry-" + std::to_string(i) +
                       std::string(static_cast<size_t>(i % 60), 'x'));
    Put(expected.back(), "");
  }
  expected.emplace_back(255, 'n');
  std::filesystem::create_directories(share_ / expected.back());
  std::sort(expected.begin(), expected.end());
  const uint64_t root = NodeOf("/");
  const size_t nodes = session_->nodes();
  for (const uint32_t size : {4096U, 512U, 65536U}) {
    EXPECT_EQ(Sorted(List(root, size, false)), expected) << size;
  }
  EXPECT_EQ(session_->nodes(), nodes);  // a list without attributes makes none known
  for (const uint32_t size : {4096U, 512U, 65536U}) {
    EXPECT_EQ(Sorted(List(root, size, true)), expected) << size;
  }
  EXPECT_EQ(session_->nodes(), nodes + 501);
  EXPECT_EQ(session_->handles(), 0U);
}

TEST_F(SessionNamesTest, AnEntryListedWithAttributesCountsAsLookedUp) {
  Put("file", "12345");
  const uint64_t root = NodeOf("/");
  List(root, 4096, true);
  const uint64_t node = NodeOf("file");
  Send(FUSE_FORGET, node, BytesOf(fuse_forget_in{.nlookup = 1}));
  EXPECT_EQ(Send(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{})).error, 0);
  Send(FUSE_BATCH_FORGET, 0,
       BytesOf(fuse_batch_forget_in{.count = 1}) +
           BytesOf(fuse_forget_one{.nodeid = node, .nlookup = 1}));
  EXPECT_EQ(Send(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{})).error, ESTALE);
}

TEST_F(SessionNamesTest, TheTreeItselfDoesNotChange) {
  Put("file", "");
  for (const uint64_t folder : {NodeTable::kRoot, NodeTable::kShares}) {
    EXPECT_EQ(MakeFolder(folder, "x", 0700).error, EROFS);
    EXPECT_EQ(MakeNode(folder, "x", S_IFREG | 0600).error, EROFS);
    EXPECT_EQ(Create(folder, "x", O_RDWR, 0600).error, EROFS);
    EXPECT_EQ(Send(FUSE_SYMLINK, folder, Text("x") + Text("y")).error, EROFS);
    EXPECT_EQ(Send(FUSE_RMDIR, folder, Text("1")).error, EROFS);
    EXPECT_EQ(Rename(folder, "1", folder, "2").error, EROFS);
    EXPECT_EQ(Rename(NodeOf("/"), "file", folder, "2").error, EROFS);
    EXPECT_EQ(
        Send(FUSE_LINK, folder, BytesOf(fuse_link_in{.oldnodeid = NodeOf("file")}) + Text("x"))
            .error,
        EROFS);
    EXPECT_EQ(Send(FUSE_SETATTR, folder, BytesOf(fuse_setattr_in{.valid = FATTR_MODE})).error,
              EROFS);
  }
  EXPECT_THAT(List(NodeTable::kRoot, 4096, false), Contains("s"));
  EXPECT_THAT(List(NodeTable::kShares, 4096, false), UnorderedElementsAre(".", "..", "1"));
}

}  // namespace
}  // namespace farlet::files
