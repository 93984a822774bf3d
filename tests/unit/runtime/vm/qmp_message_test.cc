#include "runtime/vm/qmp_message.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::vm {
namespace {

TEST(QmpMessageTest, Greeting) {
  const auto message = ParseQmpLine(
      R"({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}})");
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<QmpGreeting>(*message).version, "7.2.22");
}

TEST(QmpMessageTest, GreetingWithoutVersion) {
  const auto message = ParseQmpLine(R"({"QMP": {"version": []}})");
  ASSERT_TRUE(message);
  EXPECT_EQ(std::get<QmpGreeting>(*message).version, "0.0.0");
}

TEST(QmpMessageTest, Replies) {
  const auto good = ParseQmpLine(R"({"return": {"running": true}, "id": 7})");
  ASSERT_TRUE(good);
  EXPECT_EQ(std::get<QmpReply>(*good).id, 7u);
  EXPECT_TRUE(std::get<QmpReply>(*good).result->at("running").get<bool>());
  const auto bad = ParseQmpLine(R"({"error": {"class": "GenericError", "desc": "no"}, "id": 8})");
  ASSERT_TRUE(bad);
  const auto& reply = std::get<QmpReply>(*bad);
  EXPECT_EQ(reply.id, 8u);
  ASSERT_FALSE(reply.result);
  EXPECT_EQ(reply.result.error().message, "GenericError: no");
}

TEST(QmpMessageTest, Events) {
  const auto event = ParseQmpLine(
      R"({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP", "data": {"a": 1}})");
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<QmpEvent>(*event).name, "STOP");
  EXPECT_EQ(std::get<QmpEvent>(*event).data.at("a"), 1);
  const auto bare = ParseQmpLine(R"({"event": "STOP", "data": 3})");
  ASSERT_TRUE(bare);
  EXPECT_TRUE(std::get<QmpEvent>(*bare).data.is_object());
}

TEST(QmpMessageTest, NothingElse) {
  for (const char* line : {"", "x", "[]", "3", "null", "{}", "{\"id\": 1}", "{\"QMP\": 1}",
                           "{\"return\": 1", "{\"event\": 5}", "\xff\xfe"}) {
    const auto message = ParseQmpLine(line);
    ASSERT_FALSE(message) << line;
    EXPECT_EQ(message.error().code, Code::kDataLoss) << line;
  }
}

TEST(QmpMessageTest, CommandIsOneLine) {
  const std::string line = QmpCommandLine("x", {{"path", "a\nb\xff"}}, 3);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed.at("execute"), "x");
  EXPECT_EQ(parsed.at("id"), 3);
  EXPECT_FALSE(nlohmann::json::parse(QmpCommandLine("x", nullptr, 3)).contains("arguments"));
}

}  // namespace
}  // namespace farlet::vm
