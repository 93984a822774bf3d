// Open files.
#include "tests/unit/runtime/vm/files/session_fixture.h"

#include <gtest/gtest.h>

#include <linux/falloc.h>

#include <cerrno>
#include <string>

namespace farlet::files {
namespace {

class SessionDataTest : public SessionFixture {
 protected:
  uint64_t Handle(uint64_t node, uint32_t flags) {
    const Answer answer = Open(node, flags);
    EXPECT_EQ(answer.error, 0);
    return answer.As<fuse_open_out>().fh;
  }

  bool KeepsCache(uint64_t node) {
    return (Open(node, O_RDONLY).As<fuse_open_out>().open_flags & FOPEN_KEEP_CACHE) != 0;
  }
};

TEST_F(SessionDataTest, ReadsAndWrites) {
  Put("file", "hello");
  const uint64_t node = NodeOf("file");
  const uint64_t handle = Handle(node, O_RDWR);
  EXPECT_EQ(Read(node, handle, 0, 100).body, "hello");
  EXPECT_EQ(Read(node, handle, 3, 100).body, "lo");
  EXPECT_EQ(Read(node, handle, 100, 100).body, "");
  EXPECT_EQ(Write(node, handle, 5, " world").As<fuse_write_out>().size, 6U);
  EXPECT_EQ(Content("file"), "hello world");
  const std::string large(kMaxWrite, 'x');
  EXPECT_EQ(Write(node, handle, 0, large).As<fuse_write_out>().size, kMaxWrite);
  EXPECT_EQ(Read(node, handle, 0, kMaxWrite).body, large);
  EXPECT_EQ(Send(FUSE_FLUSH, node, BytesOf(fuse_flush_in{.fh = handle})).error, 0);
  EXPECT_EQ(Send(FUSE_FSYNC, node, BytesOf(fuse_fsync_in{.fh = handle})).error, 0);
  EXPECT_EQ(Send(FUSE_FSYNC, node, BytesOf(fuse_fsync_in{.fh = handle, .fsync_flags = 1})).error,
            0);
  EXPECT_EQ(Send(FUSE_RELEASE, node, BytesOf(fuse_release_in{.fh = handle})).error, 0);
  EXPECT_EQ(Read(node, handle, 0, 1).error, EBADF);
  EXPECT_EQ(session_->handles(), 0U);
}

TEST_F(SessionDataTest, HandlesAllowWhatTheyWereOpenedFor) {
  Put("file", "hello");
  const uint64_t node = NodeOf("file");
  EXPECT_EQ(Write(node, Handle(node, O_RDONLY), 0, "x").error, EBADF);
  EXPECT_EQ(Read(node, Handle(node, O_WRONLY), 0, 1).error, EBADF);
  Handle(node, O_WRONLY | O_TRUNC);
  EXPECT_EQ(Content("file"), "");
}

TEST_F(SessionDataTest, AppendsWhereTheFileEndsUnlessAMappedPageComesBack) {
  Put("file", "12345");
  const uint64_t node = NodeOf("file");
  const uint64_t handle = Handle(node, O_RDWR | O_APPEND);
  Write(node, handle, 0, "a");
  EXPECT_EQ(Content("file"), "12345a");
  const std::string page = "PAGE";
  EXPECT_EQ(Send(FUSE_WRITE, node,
                 BytesOf(fuse_write_in{.fh = handle,
                                       .offset = 1,
                                       .size = static_cast<uint32_t>(page.size()),
                                       .write_flags = FUSE_WRITE_CACHE}) +
                     page)
                .error,
            0);
  EXPECT_EQ(Content("file"), "1PAGEa");
  Write(node, handle, 0, "b");
  EXPECT_EQ(Content("file"), "1PAGEab");
}

TEST_F(SessionDataTest, AFileThatWasRemovedStaysUsableByItsHandle) {
  Put("file", "hello");
  const uint64_t node = NodeOf("file");
  const uint64_t handle = Handle(node, O_RDWR);
  EXPECT_EQ(Send(FUSE_UNLINK, NodeOf("/"), Text("file")).error, 0);
  EXPECT_EQ(Read(node, handle, 0, 10).body, "hello");
  const Answer attributes = Send(
      FUSE_GETATTR, node, BytesOf(fuse_getattr_in{.getattr_flags = FUSE_GETATTR_FH, .fh = handle}));
  EXPECT_EQ(attributes.As<fuse_attr_out>().attr.nlink, 0U);
  EXPECT_EQ(Send(FUSE_SETATTR, node,
                 BytesOf(fuse_setattr_in{.valid = FATTR_SIZE | FATTR_FH, .fh = handle, .size = 2}))
                .error,
            0);
  EXPECT_EQ(Read(node, handle, 0, 10).body, "he");
}

TEST_F(SessionDataTest, AllocatesSeeksAndCopies) {
  Put("file", "hello");
  Put("copy", "");
  const uint64_t node = NodeOf("file");
  const uint64_t handle = Handle(node, O_RDWR);
  const auto allocate = [&](uint64_t length, uint32_t mode) {
    return Send(FUSE_FALLOCATE, node,
                BytesOf(fuse_fallocate_in{.fh = handle, .length = length, .mode = mode}));
  };
  EXPECT_EQ(allocate(100000, 0).error, 0);
  EXPECT_EQ(Stat("file").st_size, 100000);
  EXPECT_EQ(allocate(10, 0x40).error, EOPNOTSUPP);
  EXPECT_EQ(allocate(0, 0).error, EINVAL);
  const auto seek = [&](uint32_t whence) {
    return Send(FUSE_LSEEK, node, BytesOf(fuse_lseek_in{.fh = handle, .whence = whence}));
  };
  EXPECT_EQ(seek(SEEK_DATA).As<fuse_lseek_out>().offset, 0U);
  EXPECT_EQ(seek(SEEK_SET).error, EINVAL);
  const uint64_t target = NodeOf("copy");
  const Answer copied = Send(FUSE_COPY_FILE_RANGE, node,
                             BytesOf(fuse_copy_file_range_in{.fh_in = handle,
                                                             .off_in = 1,
                                                             .nodeid_out = target,
                                                             .fh_out = Handle(target, O_WRONLY),
                                                             .len = 4}));
  EXPECT_EQ(copied.As<fuse_write_out>().size, 4U);
  EXPECT_EQ(Content("copy"), "ello");
}

TEST_F(SessionDataTest, AFileThatJustChangedDoesNotKeepItsCache) {
  Put("file", "hello");
  const uint64_t node = NodeOf("file");
  EXPECT_FALSE(KeepsCache(node));
  EXPECT_FALSE(KeepsCache(node));  // its times are too young to tell a change by
}

}  // namespace
}  // namespace farlet::files
