#include "provider/server/log_rotation.h"

#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/provider/server/server_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <zlib.h>

#include <array>
#include <atomic>
#include <future>
#include <sstream>

namespace farlet::server::testing {
namespace {

using ::testing::ElementsAre;

std::string ReadPlain(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ReadGzip(const std::string& path) {
  gzFile file = gzopen(path.c_str(), "rb");
  std::string text;
  std::array<char, 4096> block{};
  for (int size = gzread(file, block.data(), block.size()); size > 0;
       size = gzread(file, block.data(), block.size())) {
    text.append(block.data(), static_cast<size_t>(size));
  }
  gzclose(file);
  return text;
}

class LogRotationTest : public ::testing::Test {
 protected:
  LogRotationTest() {
    hooks_.running_logs = [this](Callback<std::vector<RunningLog>> done) {
      done(std::vector<RunningLog>{{"c1", folder_ / "0.log"}});
    };
    hooks_.reopen = [this](const std::string& id, StatusCallback done) {
      EXPECT_EQ(id, "c1");
      ++reopened_;
      if (reopens_) {
        folder_.Write("0.log", "");
      }
      done(answer_);
    };
    options_.max_bytes = 100;
  }

  void Round() {
    clock_.Advance(std::chrono::seconds(10));
    LogRotation(options_, hooks_, clock_).RunOnce();
  }

  void Fill(char letter) { folder_.Append("0.log", std::string(100, letter)); }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / ".")) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TempFolder folder_;
  farlet::testing::FakeClock clock_;
  LogRotationOptions options_;
  LogRotationHooks hooks_;
  int reopened_ = 0;
  bool reopens_ = true;
  Status answer_;
};

TEST_F(LogRotationTest, LeavesSmallLogsAlone) {
  folder_.Write("0.log", std::string(99, 'x'));
  Round();
  EXPECT_THAT(Files(), ElementsAre("0.log"));
  EXPECT_EQ(reopened_, 0);
}

TEST_F(LogRotationTest, KeepsFiveFiles) {
  folder_.Write("unrelated.log", "");
  folder_.Write("0.log.bak", "");
  for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'}) {
    Fill(letter);
    Round();
  }
  EXPECT_THAT(Files(), ElementsAre("0.log", "0.log.20260102-030435.gz", "0.log.20260102-030445.gz",
                                   "0.log.20260102-030455.gz", "0.log.20260102-030505", "0.log.bak",
                                   "unrelated.log"));
  EXPECT_EQ(ReadPlain(folder_ / "0.log"), "");
  EXPECT_EQ(ReadPlain(folder_ / "0.log.20260102-030505"), std::string(100, 'f'));
  EXPECT_EQ(ReadGzip(folder_ / "0.log.20260102-030455.gz"), std::string(100, 'e'));
  EXPECT_EQ(reopened_, 6);
}

TEST_F(LogRotationTest, CompressesLargeFilesWithTheirMode) {
  std::string content;
  for (int i = 0; i < 200'000; ++i) {
    content += std::to_string(i * 7919) + "\n";
  }
  ::chmod(folder_.Write("0.log", content).c_str(), 0640);
  Round();
  Fill('x');
  Round();
  const std::string archive = folder_ / "0.log.20260102-030415.gz";
  EXPECT_EQ(ReadGzip(archive), content);

  struct stat info {};

  ASSERT_EQ(::stat(archive.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_F(LogRotationTest, GivesTheNameBackWhenReopeningFails) {
  reopens_ = false;
  answer_ = Unavailable("no containerd");
  Fill('a');
  Round();
  EXPECT_THAT(Files(), ElementsAre("0.log"));
  EXPECT_EQ(ReadPlain(folder_ / "0.log"), std::string(100, 'a'));
  // It says that it failed and has done it all the same.
  reopens_ = true;
  Round();
  EXPECT_THAT(Files(), ElementsAre("0.log", "0.log.20260102-030425"));
}

TEST_F(LogRotationTest, PutsRightWhatACrashLeft) {
  Fill('a');
  folder_.Write("0.log.20260101-000000", "archived already");
  folder_.Write("0.log.20260101-000000.gz", "");
  folder_.Write("0.log.20260101-000001", "half archived");
  folder_.Write("0.log.20260101-000001.tmp", "hal");
  Round();
  EXPECT_THAT(Files(), ElementsAre("0.log", "0.log.20260101-000000.gz", "0.log.20260101-000001.gz",
                                   "0.log.20260102-030415"));
  EXPECT_EQ(ReadGzip(folder_ / "0.log.20260101-000001.gz"), "half archived");
  // Renamed, but the runtime was never told.
  std::filesystem::remove(folder_ / "0.log");
  Round();
  EXPECT_EQ(reopened_, 2);
  EXPECT_EQ(Files().front(), "0.log");
}

TEST_F(LogRotationTest, OneBadLogDoesNotHoldUpTheOthers) {
  Fill('a');
  std::filesystem::create_directory(folder_ / "not-a-file");
  hooks_.running_logs = [this](Callback<std::vector<RunningLog>> done) {
    done(std::vector<RunningLog>{{"c0", "/nowhere/at/all/0.log"},
                                 {"c0", folder_ / "not-a-file"},
                                 {"c1", folder_ / "0.log"}});
  };
  const auto reopen = hooks_.reopen;
  hooks_.reopen = [reopen](const std::string& id, StatusCallback done) {
    if (id == "c1") {
      reopen(id, std::move(done));
    } else {
      done(NotFound("gone"));
    }
  };
  Round();
  EXPECT_EQ(reopened_, 1);
}

TEST_F(LogRotationTest, RunsByItselfAndEndsWhileItWaits) {
  options_.period = std::chrono::milliseconds(5);
  std::promise<void> asked;
  std::atomic<int> count{0};
  StatusCallback late;
  hooks_.reopen = [&](const std::string&, StatusCallback done) {
    late = std::move(done);
    if (count++ == 0) {
      asked.set_value();
    }
  };
  Fill('a');
  {
    LogRotation rotation(options_, hooks_, clock_);
    rotation.Start();
    asked.get_future().wait();
  }
  EXPECT_THAT(Files(), ElementsAre("0.log"));
  late({});
}

}  // namespace
}  // namespace farlet::server::testing
