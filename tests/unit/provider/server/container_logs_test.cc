#include "provider/server/server.h"
#include "tests/unit/provider/server/server_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace farlet::server::testing {
namespace {

using ::testing::HasSubstr;

class ContainerLogsTest : public ServerTest {
 protected:
  ContainerLogsTest() {
    handlers_.log_target = [this](const ContainerRef& container, bool previous,
                                  Callback<LogTarget> done) {
      if (container.pod != "web-0") {
        done(NotFound("pod \"" + container.pod + "\" does not exist"));
      } else if (container.container == "starting") {
        done(MakeError(Code::kFailedPrecondition,
                       "container \"starting\" in pod \"web-0\" is waiting to start: "
                       "ContainerCreating"));
      } else {
        done(LogTarget{folder_ / (previous ? "0.log" : "1.log"),
                       [this] { return running_.load(); }});
      }
    };
  }

  HttpAnswer Logs(std::string_view query = {}) {
    return Fetch("/containerLogs/ns/web-0/app?" + std::string(query));
  }

  std::unique_ptr<TestClient> Follow(std::string_view query = {}) {
    auto client = Connect();
    client->Get("/containerLogs/ns/web-0/app?follow=true&" + std::string(query));
    const std::string head = client->ReadUntil("\r\n\r\n");
    EXPECT_THAT(head, HasSubstr("200 OK"));
    return client;
  }

  std::atomic<bool> running_{true};
};

TEST_F(ContainerLogsTest, AnswersEveryOption) {
  // The clock says 2026-01-02T03:04:05Z.
  folder_.Write("0.log", "2026-01-01T00:00:00Z stdout F before\n");
  folder_.Write("1.log",
                "2026-01-02T03:00:00.1Z stdout F one\n"
                "2026-01-02T03:03:00Z stderr F two\n"
                "2026-01-02T03:04:00.123456789Z stdout P thr\n"
                "2026-01-02T03:04:01Z stdout F ee\n"
                "not a log line\n"
                "2026-01-02T04:04:02.5+01:00 stdout F four\n");
  Start();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "one\ntwo\nthree\nfour\n"},
      {"follow=false", "one\ntwo\nthree\nfour\n"},
      {"previous=true", "before\n"},
      {"tailLines=2", "three\nfour\n"},
      {"tail=2", "three\nfour\n"},
      {"tail=all&tailLines=1", "one\ntwo\nthree\nfour\n"},
      {"tailLines=0", ""},
      {"tailLines=100", "one\ntwo\nthree\nfour\n"},
      {"sinceSeconds=66", "two\nthree\nfour\n"},
      {"sinceSeconds=10", "three\nfour\n"},
      {"sinceSeconds=9223372036854775807", "one\ntwo\nthree\nfour\n"},
      {"sinceTime=2026-01-02T03:03:00Z", "two\nthree\nfour\n"},
      {"sinceTime=2026-01-02T04:03:01%2B01:00", "three\nfour\n"},
      {"limitBytes=6", "one\ntw"},
      {"limitBytes=1", "o"},
      {"limitBytes=1000", "one\ntwo\nthree\nfour\n"},
      {"stream=Stderr", "two\n"},
      {"stream=Stdout&follow=0", "one\nthree\nfour\n"},
      {"timestamps=true&tailLines=2",
       "2026-01-02T03:04:00.123456789Z three\n2026-01-02T04:04:02.500000000+01:00 four\n"},
      {"timestamps=1&limitBytes=25", "2026-01-02T03:00:00.10000"},
      {"unknown=1", "one\ntwo\nthree\nfour\n"},
  };
  for (const auto& [query, text] : cases) {
    const HttpAnswer answer = Logs(query);
    EXPECT_EQ(answer.status, 200) << query;
    EXPECT_EQ(answer.body, text) << query;
    EXPECT_TRUE(answer.complete) << query;
    EXPECT_EQ(answer.headers.at("content-type"), "text/plain");
  }
}

TEST_F(ContainerLogsTest, RefusesBadOptions) {
  folder_.Write("1.log", "");
  Start();
  const std::vector<std::tuple<std::string, int, std::string>> cases{
      {"tailLines=x", 400, "tailLines"},
      {"tailLines=", 400, "tailLines"},
      {"tail=1.5", 400, "tail"},
      {"tailLines=-1", 422, "tailLines"},
      {"limitBytes=0", 422, "limitBytes"},
      {"limitBytes=99999999999999999999", 400, "limitBytes"},
      {"sinceSeconds=0", 422, "sinceSeconds"},
      {"sinceSeconds=abc", 400, "sinceSeconds"},
      {"sinceTime=yesterday", 400, "sinceTime"},
      {"sinceTime=2026-01-02T03:03:00Z&sinceSeconds=5", 422, "sinceSeconds"},
      {"follow=maybe", 400, "follow"},
      {"stream=Stdin", 422, "stream"},
      {"stream=Stdout&tailLines=5", 422, "stream"},
  };
  for (const auto& [query, status, name] : cases) {
    const HttpAnswer answer = Logs(query);
    EXPECT_EQ(answer.status, status) << query;
    EXPECT_THAT(answer.body, HasSubstr(name)) << query;
  }
}

TEST_F(ContainerLogsTest, PassesTheReasonOn) {
  Start();
  HttpAnswer answer = Fetch("/containerLogs/ns/web-7/app");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "pod \"web-7\" does not exist");
  answer = Fetch("/containerLogs/ns/web-0/starting");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("ContainerCreating"));
  running_ = false;
  answer = Logs();
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("No such file"));
}

TEST_F(ContainerLogsTest, WaitsForAFileThatIsJustBeingRotated) {
  Start();
  auto client = Connect();
  client->Get("/containerLogs/ns/web-0/app");
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  folder_.Write("1.log.new", "2026-01-01T00:00:00Z stdout F here\n");
  std::filesystem::rename(folder_ / "1.log.new", folder_ / "1.log");
  EXPECT_EQ(client->Read().body, "here\n");
}

TEST_F(ContainerLogsTest, FollowsUntilTheContainerEnds) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F one\n");
  Start();
  auto client = Follow();
  EXPECT_EQ(client->ReadUntil("one\n\r\n"), "4\r\none\n\r\n");
  folder_.Append("1.log", "2026-01-01T00:00:01Z stdout F two\n");
  EXPECT_EQ(client->ReadUntil("two\n\r\n"), "4\r\ntwo\n\r\n");
  folder_.Append("1.log", "2026-01-01T00:00:02Z stdout F three\n");
  running_ = false;
  EXPECT_EQ(client->ReadUntil("0\r\n\r\n"), "6\r\nthree\n\r\n0\r\n\r\n");
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(ContainerLogsTest, FollowSendsHeadersAtOnceAndTailsFirst) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F one\n");
  Start();
  auto client = Follow("tailLines=0");
  folder_.Append("1.log", "2026-01-01T00:00:01Z stdout F two\n");
  EXPECT_EQ(client->ReadUntil("\n\r\n"), "4\r\ntwo\n\r\n");
}

TEST_F(ContainerLogsTest, FollowSurvivesRotation) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F 0\n");
  Start();
  auto client = Follow();
  std::string expected = "0\n";
  std::string chunks;
  for (int i = 1; i <= 3; ++i) {
    const std::string line = "2026-01-01T00:00:0" + std::to_string(i);
    std::filesystem::rename(folder_ / "1.log",
                            folder_ / ("1.log.20260101-00000" + std::to_string(i)));
    // The last words to the old file come after the new one is there.
    folder_.Append("1.log", line + ".5Z stdout F new " + std::to_string(i) + "\n");
    folder_.Append("1.log.20260101-00000" + std::to_string(i),
                   line + "Z stdout F old " + std::to_string(i) + "\n");
    expected += "old " + std::to_string(i) + "\nnew " + std::to_string(i) + "\n";
    chunks += client->ReadUntil("new " + std::to_string(i) + "\n\r\n");
  }
  running_ = false;
  chunks += client->ReadUntil("0\r\n\r\n");
  std::string body;
  while (chunks != "0\r\n\r\n") {
    const size_t line = chunks.find("\r\n");
    const size_t size = std::stoul(chunks.substr(0, line), nullptr, 16);
    body += chunks.substr(line + 2, size);
    chunks.erase(0, line + 2 + size + 2);
  }
  EXPECT_EQ(body, expected);
}

TEST_F(ContainerLogsTest, FollowStopsAtTheByteLimit) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F one\n");
  Start();
  auto client = Follow("limitBytes=5");
  folder_.Append("1.log", "2026-01-01T00:00:01Z stdout F two\n");
  client->ReadUntil("0\r\n\r\n");
  EXPECT_TRUE(client->AtEnd());
}

TEST_F(ContainerLogsTest, ADisconnectEndsTheFollow) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F one\n");
  std::atomic<int> asked{0};
  handlers_.log_target = [&](const ContainerRef&, bool, Callback<LogTarget> done) {
    done(LogTarget{folder_ / "1.log", [&] { return ++asked > 0; }});
  };
  Start();
  {
    auto client = Follow();
    client->ReadUntil("one");
    auto reset = Follow();
    reset->ReadUntil("one");
    reset->Reset();
  }
  // Who follows asks several times in this while, and notices a disconnect within moments.
  constexpr std::chrono::milliseconds kQuiet{300};
  int before = -1;
  for (int tries = 0; tries < 50 && before != asked; ++tries) {
    before = asked;
    std::this_thread::sleep_for(kQuiet);
  }
  EXPECT_EQ(asked, before);
}

TEST_F(ContainerLogsTest, Http10ClientsGetPlainBodies) {
  folder_.Write("1.log", "2026-01-01T00:00:00Z stdout F one\n");
  Start();
  auto client = Connect();
  client->Send("GET /containerLogs/ns/web-0/app HTTP/1.0\r\n\r\n");
  const HttpAnswer answer = client->Read();
  EXPECT_EQ(answer.body, "one\n");
  EXPECT_FALSE(answer.headers.contains("transfer-encoding"));
}

size_t ResidentKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) {
      return std::stoul(line.substr(6));
    }
  }
  return 0;
}

TEST_F(ContainerLogsTest, ASlowReaderHoldsUpTheReadingNotTheMemory) {
  const std::string line = "2026-01-01T00:00:00Z stdout F " + std::string(1000, 'x') + "\n";
  std::string content;
  while (content.size() < 50u << 20) {
    content += line;
  }
  folder_.Write("1.log", content);
  content = {};
  Start();
  auto client = Connect();
  const size_t before = ResidentKilobytes();
  client->Get("/containerLogs/ns/web-0/app");
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(ResidentKilobytes(), before + 16 * 1024);
  // Others are served meanwhile.
  EXPECT_EQ(Fetch("/healthz").status, 200);
  const HttpAnswer answer = client->Read();
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.body.size() % 1001, 0u);
  EXPECT_GT(answer.body.size(), 45u << 20);
}

}  // namespace
}  // namespace farlet::server::testing
