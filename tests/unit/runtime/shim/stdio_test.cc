#include "runtime/base/fd.h"
#include "runtime/base/file.h"
#include "runtime/shim/stdio/process_io.h"

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

namespace farlet::shim {
namespace {

TEST(StreamNameTest, KnowsTheSchemes) {
  EXPECT_EQ(ParseStreamName("")->kind, StreamTarget::Kind::kNone);
  EXPECT_EQ(ParseStreamName("/f")->kind, StreamTarget::Kind::kFifo);
  EXPECT_EQ(ParseStreamName("fifo:///f")->path, "/f");
  EXPECT_EQ(ParseStreamName("file:///log?x=y")->kind, StreamTarget::Kind::kFile);
  EXPECT_EQ(ParseStreamName("file:///log?x=y")->path, "/log");
  const auto logger = ParseStreamName("binary:///usr/bin/log?--to=%2Fvar%2Flog&-v&name=a+b");
  ASSERT_TRUE(logger) << logger.error().message;
  EXPECT_EQ(logger->kind, StreamTarget::Kind::kLogger);
  EXPECT_EQ(logger->path, "/usr/bin/log");
  EXPECT_EQ(logger->arguments, (std::vector<std::string>{"--to", "/var/log", "-v", "name", "a b"}));
  EXPECT_EQ(ParseStreamName("binary:///x?%zz%4")->arguments, std::vector<std::string>{"%zz%4"});
  EXPECT_EQ(ParseStreamName("binary:///x?a=%00").error().code, Code::kInvalidArgument);
  EXPECT_EQ(ParseStreamName("binary://x").error().code, Code::kInvalidArgument);
  EXPECT_EQ(ParseStreamName("binary-v2:///x").error().code, Code::kUnimplemented);
  EXPECT_EQ(ParseStreamName("ttrpc+unix:///x").error().code, Code::kUnimplemented);
  EXPECT_EQ(ParseStreamName("http://x").error().code, Code::kInvalidArgument);
  EXPECT_EQ(ParseStreamName("relative").error().code, Code::kInvalidArgument);
}

// The guest's side, by hand: everything on the test's thread.
class ProcessIoTest : public ::testing::Test {
 protected:
  ProcessIoTest() {
    std::string name = (std::filesystem::temp_directory_path() / "stdio-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    streams_.read = [this](OutputStream stream, Callback<OutputChunk> done) {
      readers_[stream] = std::move(done);
    };
    streams_.write = [this](std::string data, Callback<size_t> done) {
      // Takes half of it at a time, as a full pipe does.
      const size_t taken = (data.size() + 1) / 2;
      input_ += data.substr(0, taken);
      boost::asio::post(io_, [done = std::move(done), taken] { done(taken); });
    };
    streams_.close_input = [this](StatusCallback done) {
      input_closed_ = true;
      boost::asio::post(io_, [done = std::move(done)] { done({}); });
    };
  }

  ~ProcessIoTest() override { std::filesystem::remove_all(folder_); }

  std::string Fifo(const std::string& name) {
    const std::string path = (folder_ / name).string();
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  // Runs what is ready until `done`, or for 10 s.
  template <class Condition>
  bool RunUntil(Condition done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(20));
    }
    return done();
  }

  void Answer(OutputStream stream, OutputChunk chunk) {
    ASSERT_TRUE(RunUntil([&] { return readers_[stream] != nullptr; }));
    std::exchange(readers_[stream], nullptr)(std::move(chunk));
  }

  std::filesystem::path folder_;
  boost::asio::io_context io_;
  GuestStreams streams_;
  std::map<OutputStream, Callback<OutputChunk>> readers_;
  std::string input_;
  bool input_closed_ = false;
};

TEST_F(ProcessIoTest, TellsTheExitAfterTheOutput) {
  const std::string out = Fifo("out");
  const UniqueFd reader(::open(out.c_str(), O_RDONLY | O_NONBLOCK));
  auto io = ProcessIo::Open(io_, {.out = out}, streams_);
  ASSERT_TRUE(io);
  (*io)->Start();
  bool copied = false;
  (*io)->WhenCopied([&] { copied = true; });
  Answer(OutputStream::kErr, {.eof = true});
  EXPECT_FALSE(copied);
  Answer(OutputStream::kOut, {.data = "last words"});
  Answer(OutputStream::kOut, {.eof = true});
  EXPECT_TRUE(RunUntil([&] { return copied; }));
  std::array<char, 64> buffer{};
  EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 10);
  EXPECT_EQ(::read(reader.get(), buffer.data(), buffer.size()), 0);  // the shim's ends are closed
}

TEST_F(ProcessIoTest, DoesNotWaitForWhoeverHoldsTheOutputOpen) {
  auto io = ProcessIo::Open(io_, {}, streams_, {.quiet = std::chrono::milliseconds(30)});
  ASSERT_TRUE(io);
  (*io)->Start();
  bool copied = false;
  (*io)->WhenCopied([&] { copied = true; });
  Answer(OutputStream::kErr, {.eof = true});
  EXPECT_TRUE(RunUntil([&] { return copied; }));
  (*io)->Close();
}

TEST_F(ProcessIoTest, AReaderThatIsStuckHoldsTheExitOnlySoLong) {
  const std::string out = Fifo("out");
  const UniqueFd reader(::open(out.c_str(), O_RDONLY | O_NONBLOCK));
  auto io = ProcessIo::Open(
      io_, {.out = out}, streams_,
      {.quiet = std::chrono::milliseconds(20), .stuck = std::chrono::milliseconds(60)});
  ASSERT_TRUE(io);
  (*io)->Start();
  Answer(OutputStream::kErr, {.eof = true});
  Answer(OutputStream::kOut, {.data = std::string(1 << 20, 'x')});  // more than a FIFO holds
  bool copied = false;
  (*io)->WhenCopied([&] { copied = true; });
  EXPECT_TRUE(RunUntil([&] { return copied; }));
  (*io)->Close();
}

TEST_F(ProcessIoTest, OutputGoesOnAfterTheReaderCameBack) {
  const std::string out = Fifo("out");
  { const UniqueFd first(::open(out.c_str(), O_RDONLY | O_NONBLOCK)); }
  auto io = ProcessIo::Open(io_, {.out = out}, streams_);
  ASSERT_TRUE(io);
  (*io)->Start();
  Answer(OutputStream::kOut, {.data = "one "});
  ASSERT_TRUE(RunUntil([&] { return readers_[OutputStream::kOut] != nullptr; }));
  const UniqueFd second(::open(out.c_str(), O_RDONLY | O_NONBLOCK));
  Answer(OutputStream::kOut, {.data = "two"});
  ASSERT_TRUE(RunUntil([&] { return readers_[OutputStream::kOut] != nullptr; }));
  std::array<char, 64> buffer{};
  EXPECT_EQ(::read(second.get(), buffer.data(), buffer.size()), 7);
  (*io)->Close();
}

// A URL's escapes for all that could mean something in one.
std::string Escape(const std::string& text) {
  std::string escaped;
  for (const unsigned char letter : text) {
    escaped += std::isalnum(letter) != 0 ? std::string(1, static_cast<char>(letter))
                                         : fmt::format("%{:02x}", letter);
  }
  return escaped;
}

TEST_F(ProcessIoTest, ALoggerTakesBothOutputs) {
  const std::string log = (folder_ / "log").string();
  const std::string script =
      "exec 5>&-; { cat <&3; cat <&4; echo $CONTAINER_ID; echo "
      "$CONTAINER_NAMESPACE; } > " +
      log + ".part; mv " + log + ".part " + log;
  auto io = ProcessIo::Open(io_,
                            {.out = "binary:///bin/sh?-c=" + Escape(script),
                             .err = "binary:///not/looked/at",
                             .id = "c1",
                             .containerd_namespace = "moby"},
                            streams_);
  ASSERT_TRUE(io) << io.error().message;
  (*io)->Start();
  Answer(OutputStream::kErr, {.data = "two\n"});
  Answer(OutputStream::kErr, {.eof = true});
  Answer(OutputStream::kOut, {.data = "one\n"});
  Answer(OutputStream::kOut, {.eof = true});
  ASSERT_TRUE(RunUntil([&] { return std::filesystem::exists(log); }));
  EXPECT_EQ(*ReadFile(log), "one\ntwo\nc1\nmoby\n");
  (*io)->Close();
}

TEST_F(ProcessIoTest, ALoggerThatIsNotThereIsSaid) {
  const auto io = ProcessIo::Open(io_, {.out = "binary:///no/logger"}, streams_);
  ASSERT_FALSE(io);
  EXPECT_EQ(io.error().message, "start the logger /no/logger: No such file or directory");
}

TEST_F(ProcessIoTest, ALoggerThatEndsHoldsUpNobody) {
  ::signal(SIGPIPE, SIG_IGN);  // as the shim does
  auto io = ProcessIo::Open(io_, {.out = "binary:///bin/true"}, streams_);
  ASSERT_TRUE(io) << io.error().message;
  (*io)->Start();
  Answer(OutputStream::kErr, {.eof = true});
  for (int i = 0; i < 3; ++i) {
    Answer(OutputStream::kOut, {.data = std::string(100'000, 'x')});
  }
  Answer(OutputStream::kOut, {.eof = true});
  bool copied = false;
  (*io)->WhenCopied([&] { copied = true; });
  EXPECT_TRUE(RunUntil([&] { return copied; }));
  (*io)->Close();
}

TEST_F(ProcessIoTest, AppendsToAFile) {
  auto io = ProcessIo::Open(io_, {.out = "file://" + (folder_ / "log").string()}, streams_);
  ASSERT_TRUE(io);
  (*io)->Start();
  Answer(OutputStream::kOut, {.data = "text"});
  Answer(OutputStream::kOut, {.eof = true});
  EXPECT_EQ(std::filesystem::file_size(folder_ / "log"), 4U);
  (*io)->Close();
}

TEST_F(ProcessIoTest, CopiesInputUntilItsWriterIsGone) {
  const std::string in = Fifo("in");
  auto io = ProcessIo::Open(io_, {.in = in}, streams_);
  ASSERT_TRUE(io);
  (*io)->Start();
  io_.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(input_closed_);  // nobody has written yet: no end
  {
    const UniqueFd writer(::open(in.c_str(), O_WRONLY | O_NONBLOCK));
    ASSERT_EQ(::write(writer.get(), "some input", 10), 10);
    EXPECT_TRUE(RunUntil([&] { return input_ == "some input"; }));
    EXPECT_FALSE(input_closed_);
  }
  EXPECT_TRUE(RunUntil([&] { return input_closed_; }));
  (*io)->Close();
}

TEST_F(ProcessIoTest, CloseInputCopiesWhatIsThere) {
  const std::string in = Fifo("in");
  auto io = ProcessIo::Open(io_, {.in = in}, streams_);
  ASSERT_TRUE(io);
  const UniqueFd writer(::open(in.c_str(), O_WRONLY | O_NONBLOCK));
  ASSERT_EQ(::write(writer.get(), "rest", 4), 4);
  (*io)->Start();
  (*io)->CloseInput();
  EXPECT_TRUE(RunUntil([&] { return input_closed_; }));
  EXPECT_EQ(input_, "rest");
  (*io)->Close();
}

TEST_F(ProcessIoTest, InputWithoutANameIsEmpty) {
  auto io = ProcessIo::Open(io_, {}, streams_);
  ASSERT_TRUE(io);
  (*io)->Start();
  EXPECT_TRUE(input_closed_);
  (*io)->Close();
}

TEST_F(ProcessIoTest, OnlyFifosAreFifos) {
  std::filesystem::create_directories(folder_ / "x");
  const auto io = ProcessIo::Open(io_, {.out = (folder_ / "x").string()}, streams_);
  ASSERT_FALSE(io);
  EXPECT_EQ(io.error().message, "stdout: open " + (folder_ / "x").string() + ": not a FIFO");
}

}  // namespace
}  // namespace farlet::shim
