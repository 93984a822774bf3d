// How a session begins and ends, attributes, links, extended attributes.
#include "runtime/vm/files/session.h"

#include "tests/unit/runtime/vm/files/session_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/xattr.h>

#include <cerrno>

namespace farlet::files {
namespace {

using testing::AnyOf;

class SessionTest : public SessionFixture {
 protected:
  Answer Set(uint64_t node, const fuse_setattr_in& wanted) {
    return Send(FUSE_SETATTR, node, BytesOf(wanted));
  }

  Answer GetXattr(uint64_t node, std::string_view name, uint32_t size) {
    return Send(FUSE_GETXATTR, node, BytesOf(fuse_getxattr_in{.size = size}) + Text(name));
  }

  Answer SetXattr(uint64_t node, std::string_view name, const std::string& value) {
    const std::array<uint32_t, 2> head{static_cast<uint32_t>(value.size()), 0};
    return Send(FUSE_SETXATTR, node, BytesOf(head) + Text(name) + value);
  }
};

TEST_F(SessionTest, AnswersNothingBeforeInit) {
  Start({});
  EXPECT_EQ(LookUp(NodeTable::kRoot, "s").error, EIO);
  fuse_init_in init{.major = 7, .minor = 37, .max_readahead = 1u << 20, .flags = ~0U};
  const Answer answer = Send(FUSE_INIT, 0, BytesOf(init));
  ASSERT_EQ(answer.error, 0);
  ASSERT_EQ(answer.body.size(), 64U);
  const auto out = answer.As<fuse_init_out>();
  EXPECT_EQ(out.major, 7U);
  EXPECT_EQ(out.minor, 37U);
  EXPECT_EQ(out.max_write, kMaxWrite);
  EXPECT_EQ(out.max_pages * 4096U, kMaxWrite);
  EXPECT_EQ(out.flags & (FUSE_WRITEBACK_CACHE | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS), 0U);
  EXPECT_NE(out.flags & FUSE_AUTO_INVAL_DATA, 0U);
  EXPECT_EQ(LookUp(NodeTable::kRoot, "s").As<fuse_entry_out>().nodeid, NodeTable::kShares);
  EXPECT_EQ(Send(FUSE_INIT, 0, BytesOf(init)).error, EPROTO);  // once
}

TEST_F(SessionTest, AgreesOnAVersionOrRefuses) {
  Start({});
  const Answer newer = Send(FUSE_INIT, 0, BytesOf(fuse_init_in{.major = 8, .minor = 0}));
  EXPECT_EQ(newer.error, 0);
  EXPECT_EQ(newer.As<fuse_init_out>().major, 7U);
  EXPECT_EQ(LookUp(NodeTable::kRoot, "s").error, EIO);
  EXPECT_EQ(Send(FUSE_INIT, 0, BytesOf(fuse_init_in{.major = 7, .minor = 20})).error, EPROTO);
  EXPECT_EQ(Send(FUSE_INIT, 0, "short").error, EPROTO);
}

TEST_F(SessionTest, ContinuesAnInitializedSession) {
  EXPECT_EQ(LookUp(NodeTable::kRoot, "s").As<fuse_entry_out>().nodeid, NodeTable::kShares);
  // Ids of another session mean nothing here.
  const uint64_t node = NodeOf("/");
  Start({.initialized = true});
  EXPECT_EQ(Send(FUSE_GETATTR, node, BytesOf(fuse_getattr_in{})).error, ESTALE);
}

TEST_F(SessionTest, EndsWithDestroy) {
  EXPECT_FALSE(session_->destroyed());
  EXPECT_EQ(Send(FUSE_DESTROY, 0).error, 0);
  EXPECT_TRUE(session_->destroyed());
}

TEST_F(SessionTest, NeedsTheFolderOfShares) {
  Session::Roots roots;
  roots.tree = UniqueFd(::open(share_.c_str(), O_PATH | O_CLOEXEC));
  const auto none = Session::Create(std::move(roots), {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
}

TEST_F(SessionTest, AnswersWithTheRequestsNumberAndKnowsWhatItDoesNotKnow) {
  const std::string message = Message(FUSE_POLL, NodeTable::kRoot, "");
  fuse_in_header header{};
  std::memcpy(&header, message.data(), sizeof(header));
  const Answer answer = Ask(*session_, message);
  EXPECT_EQ(answer.unique, header.unique);
  for (const uint32_t opcode : {FUSE_POLL, FUSE_GETLK, FUSE_SETLKW, FUSE_ACCESS, FUSE_IOCTL}) {
    EXPECT_EQ(Send(opcode, NodeTable::kRoot).error, ENOSYS) << opcode;
  }
  EXPECT_EQ(Send(4711, NodeTable::kRoot).error, ENOSYS);
  EXPECT_FALSE(Send(FUSE_INTERRUPT, 0, BytesOf(fuse_interrupt_in{})).there);
  EXPECT_FALSE(Send(FUSE_FORGET, 1, BytesOf(fuse_forget_in{.nlookup = 1})).there);
}

TEST_F(SessionTest, TellsAttributes) {
  Put("file", "12345", 0640);
  const Answer found = LookUp(NodeOf("/"), "file");
  const auto entry = found.As<fuse_entry_out>();
  const struct stat info = Stat("file");
  EXPECT_EQ(entry.attr.size, 5U);
  EXPECT_EQ(entry.attr.mode, static_cast<uint32_t>(S_IFREG | 0640));
  EXPECT_EQ(entry.attr.uid, info.st_uid);
  EXPECT_EQ(entry.attr.mtime, static_cast<uint64_t>(info.st_mtim.tv_sec));
  EXPECT_EQ(entry.attr.mtimensec, static_cast<uint32_t>(info.st_mtim.tv_nsec));
  EXPECT_EQ(entry.entry_valid, 1U);
  EXPECT_EQ(entry.attr_valid, 1U);
  const auto again = Send(FUSE_GETATTR, entry.nodeid, BytesOf(fuse_getattr_in{}));
  EXPECT_EQ(again.As<fuse_attr_out>().attr.ino, entry.attr.ino);
  Put("file", "longer than before", 0600);  // another file by now, under the same name
  EXPECT_EQ(
      Send(FUSE_GETATTR, entry.nodeid, BytesOf(fuse_getattr_in{})).As<fuse_attr_out>().attr.size,
      5U);
  EXPECT_NE(LookUp(NodeOf("/"), "file").As<fuse_entry_out>().nodeid, entry.nodeid);
}

TEST_F(SessionTest, SetsModeSizeAndTimes) {
  Put("file", "12345", 0640);
  const uint64_t node = NodeOf("file");
  EXPECT_EQ(Set(node, {.valid = FATTR_MODE, .mode = S_IFREG | 04755}).error, 0);
  EXPECT_EQ(Stat("file").st_mode & 07777U, 04755U);
  EXPECT_EQ(Set(node, {.valid = FATTR_SIZE, .size = 3}).error, 0);
  EXPECT_EQ(Content("file"), "123");
  EXPECT_EQ(
      Set(node,
          {.valid = FATTR_MTIME | FATTR_ATIME | FATTR_ATIME_NOW, .mtime = 1000, .mtimensec = 7})
          .error,
      0);
  EXPECT_EQ(Stat("file").st_mtim.tv_sec, 1000);
  EXPECT_EQ(Stat("file").st_mtim.tv_nsec, 7);
  EXPECT_GT(Stat("file").st_atim.tv_sec, 1000000);
  EXPECT_EQ(Set(node, {.valid = FATTR_SIZE, .size = UINT64_MAX}).error, EINVAL);
  EXPECT_EQ(Set(NodeOf("/"), {.valid = FATTR_SIZE, .size = 0}).error, EISDIR);
  EXPECT_EQ(Set(node, {.valid = FATTR_MTIME, .mtime = 1, .mtimensec = 2000000000}).error, EINVAL);
}

TEST_F(SessionTest, SetsOwnersAndKeepsTheGroupBitForOtherGroups) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  Put("file", "", 0640);
  std::filesystem::create_directories(share_ / "folder");
  const uint64_t node = NodeOf("folder");
  EXPECT_EQ(Set(node, {.valid = FATTR_UID | FATTR_GID, .uid = 1000, .gid = 2000}).error, 0);
  EXPECT_EQ(Set(node, {.valid = FATTR_MODE, .mode = 02775}).error, 0);
  EXPECT_EQ(Stat("folder").st_uid, 1000U);
  EXPECT_EQ(Stat("folder").st_gid, 2000U);
  EXPECT_EQ(Stat("folder").st_mode & 07777U, 02775U);
  EXPECT_EQ(Set(NodeOf("file"), {.valid = FATTR_GID, .gid = 5}).error, 0);
  EXPECT_EQ(Stat("file").st_uid, 0U);
  EXPECT_EQ(Stat("file").st_gid, 5U);
}

TEST_F(SessionTest, ReadsLinksWithoutFollowingThem) {
  std::filesystem::create_symlink("/etc/../anything", share_ / "link");
  const uint64_t link = NodeOf("link");
  EXPECT_EQ(Send(FUSE_READLINK, link).body, "/etc/../anything");
  EXPECT_EQ(Send(FUSE_READLINK, NodeOf("/")).error, EINVAL);
  EXPECT_EQ(Set(link, {.valid = FATTR_MODE, .mode = 0777}).error, EOPNOTSUPP);
  EXPECT_EQ(LookUp(link, "passwd").error, ENOTDIR);
}

TEST_F(SessionTest, TellsTheFileSystem) {
  const auto out = Send(FUSE_STATFS, NodeOf("/")).As<fuse_statfs_out>();
  EXPECT_GT(out.st.blocks, 0U);
  EXPECT_GT(out.st.bsize, 0U);
  EXPECT_EQ(out.st.namelen, 255U);
}

TEST_F(SessionTest, UsersExtendedAttributes) {
  Put("file", "");
  const uint64_t node = NodeOf("file");
  const Answer set = SetXattr(node, "user.color", "blue");
  if (set.error == EOPNOTSUPP) {
    GTEST_SKIP() << "no user attributes on this file system";
  }
  ASSERT_EQ(set.error, 0);
  EXPECT_EQ(GetXattr(node, "user.color", 100).body, "blue");
  EXPECT_EQ(GetXattr(node, "user.color", 0).As<fuse_getxattr_out>().size, 4U);
  EXPECT_EQ(GetXattr(node, "user.color", 3).error, ERANGE);
  EXPECT_EQ(GetXattr(node, "user.none", 100).error, ENODATA);
  const Answer list = Send(FUSE_LISTXATTR, node, BytesOf(fuse_getxattr_in{.size = 1000}));
  EXPECT_EQ(list.body, Text("user.color"));
  EXPECT_EQ(Send(FUSE_LISTXATTR, node, BytesOf(fuse_getxattr_in{.size = 3})).error, ERANGE);
  EXPECT_EQ(Send(FUSE_REMOVEXATTR, node, Text("user.color")).error, 0);
  EXPECT_EQ(Send(FUSE_LISTXATTR, node, BytesOf(fuse_getxattr_in{})).As<fuse_getxattr_out>().size,
            0U);
}

TEST_F(SessionTest, OtherExtendedAttributesAreTheHosts) {
  Put("file", "");
  const uint64_t node = NodeOf("file");
  for (const char* name : {"trusted.overlay.opaque", "security.selinux", "security.capability",
                           "system.posix_acl_access", "", "user"}) {
    EXPECT_EQ(SetXattr(node, name, "x").error, EOPNOTSUPP) << name;
    EXPECT_EQ(Send(FUSE_REMOVEXATTR, node, Text(name)).error, EOPNOTSUPP) << name;
  }
  EXPECT_EQ(GetXattr(node, "trusted.overlay.opaque", 10).error, EOPNOTSUPP);
  EXPECT_THAT(GetXattr(node, "security.capability", 10).error, AnyOf(ENODATA, EOPNOTSUPP));
}

}  // namespace
}  // namespace farlet::files
