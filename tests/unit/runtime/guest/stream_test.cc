#include "runtime/guest/stream.h"

#include "runtime/ttrpc/types.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <utility>

namespace farlet::guest {
namespace {

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), 0);
    read_ = UniqueFd(pipe[0]);
    write_ = UniqueFd(pipe[1]);
  }

  void Run() {
    context_.restart();
    context_.poll();
  }

  boost::asio::io_context context_;
  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(StreamTest, ReadsAtOnceWaitsAndEnds) {
  const auto stream = std::make_shared<OutputStream>(context_, std::move(read_));
  std::optional<Result<Chunk>> chunk;
  const auto take = [&](Result<Chunk> read) { chunk = std::move(read); };
  ASSERT_EQ(::write(write_.get(), "abc", 3), 3);
  stream->Read(2, {}, take);
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_EQ((*chunk)->data, "ab");
  chunk.reset();
  stream->Read(0, {}, take);
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_EQ((*chunk)->data, "c");
  chunk.reset();
  stream->Read(0, {}, take);
  Run();
  EXPECT_FALSE(chunk);
  ASSERT_EQ(::write(write_.get(), "d", 1), 1);
  Run();
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_EQ((*chunk)->data, "d");
  chunk.reset();
  stream->Read(0, {}, take);
  write_.Close();
  Run();
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_TRUE((*chunk)->eof);
  chunk.reset();
  stream->Read(0, {}, take);
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_TRUE((*chunk)->eof);
}

TEST_F(StreamTest, ReaderThatIsReplacedLosesNothing) {
  const auto stream = std::make_shared<OutputStream>(context_, std::move(read_));
  std::optional<Result<Chunk>> first;
  std::optional<Result<Chunk>> second;
  stream->Read(0, {}, [&](Result<Chunk> chunk) { first = std::move(chunk); });
  stream->Read(0, {}, [&](Result<Chunk> chunk) { second = std::move(chunk); });
  ASSERT_TRUE(first);
  ASSERT_FALSE(*first);
  EXPECT_EQ(first->error().code, Code::kCancelled);
  ASSERT_EQ(::write(write_.get(), "x", 1), 1);
  Run();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->data, "x");
}

TEST_F(StreamTest, CloseEndsAReader) {
  const auto stream = std::make_shared<OutputStream>(context_, std::move(read_));
  std::optional<Result<Chunk>> chunk;
  stream->Read(0, {}, [&](Result<Chunk> read) { chunk = std::move(read); });
  stream->Close();
  ASSERT_TRUE(chunk && *chunk);
  EXPECT_TRUE((*chunk)->eof);
}

TEST_F(StreamTest, WritesWaitForRoomAndCloseAfterwards) {
  const auto stream = std::make_shared<InputStream>(context_, std::move(write_));
  const std::string data(100000, 'x');
  std::optional<Status> done;
  stream->Write(data, [&](Status written) { done = std::move(written); });
  Run();
  EXPECT_FALSE(done);
  std::optional<Status> second;
  stream->Write("y", [&](Status written) { second = std::move(written); });
  ASSERT_TRUE(second);
  ASSERT_FALSE(*second);
  EXPECT_EQ(second->error().code, Code::kFailedPrecondition);
  stream->CloseWhenWritten();
  std::string got;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(read_.get(), buffer.data(), buffer.size());
    if (count == 0) {
      break;
    }
    if (count > 0) {
      got.append(buffer.data(), static_cast<size_t>(count));
    } else {
      Run();
    }
  }
  EXPECT_EQ(got, data);
  ASSERT_TRUE(done);
  EXPECT_TRUE(*done);
}

TEST_F(StreamTest, ReaderThatIsGone) {
  const auto stream = std::make_shared<InputStream>(context_, std::move(write_));
  read_.Close();
  std::optional<Status> done;
  stream->Write("x", [&](Status written) { done = std::move(written); });
  ASSERT_TRUE(done);
  ASSERT_FALSE(*done);
  EXPECT_EQ(done->error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace farlet::guest
