#include "kube/watch/list_watch.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

const std::string kPods = "/api/v1/pods";

std::string PodPath(const std::string& name) {
  return "/api/v1/namespaces/default/pods/" + name;
}

// What a handler was told, in short: "=a,b" a list, "+a" an upsert, "-a" a deletion.
class Log {
 public:
  void Add(const ListWatch::Change& change) {
    std::string line = change.kind == ListWatch::Change::Kind::kReplace  ? "="
                       : change.kind == ListWatch::Change::Kind::kUpsert ? "+"
                                                                         : "-";
    for (const Json& object : change.objects) {
      line += (line.size() > 1 ? "," : "") + object["metadata"]["name"].get<std::string>();
      managed_fields_ = managed_fields_ || object["metadata"].contains("managedFields");
    }
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }

  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  bool managed_fields() const { return managed_fields_; }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  bool managed_fields_ = false;
};

class ListWatchTest : public ::testing::Test {
 protected:
  std::unique_ptr<ListWatch> Make(ListWatchOptions options) {
    options.path = kPods;
    options.on_error = [this](const Error& error) {
      const std::lock_guard lock(mutex_);
      errors_.push_back(error);
    };
    return std::make_unique<ListWatch>(harness_.client, harness_.clock, harness_.timers, options,
                                       [this](ListWatch::Change change) { log_.Add(change); });
  }

  std::unique_ptr<ListWatch> StartSynced(ListWatchOptions options = {}) {
    auto watch = Make(std::move(options));
    watch->Start();
    EXPECT_TRUE(Eventually([&] { return watch->synced(); }));
    EXPECT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
    return watch;
  }

  bool Logged(const std::vector<std::string>& lines) {
    return Eventually([&] { return log_.lines() == lines; });
  }

  size_t Errors() {
    const std::lock_guard lock(mutex_);
    return errors_.size();
  }

  std::string Query(const std::string& verb, const std::string& name, size_t index) {
    size_t seen = 0;
    for (const auto& call : harness_.api.History()) {
      const bool watch = farlet::testing::FakeApiCore::IsWatch(call);
      if ((verb == "WATCH") == watch && seen++ == index) {
        return call.query.contains(name) ? call.query.at(name) : "";
      }
    }
    return "no such call";
  }

  ApiHarness harness_;
  Log log_;
  std::mutex mutex_;  // guards errors_
  std::vector<Error> errors_;
};

TEST_F(ListWatchTest, ListsThenFollows) {
  harness_.api.Put(PodPath("a"), {{"metadata", {{"managedFields", Json::array({1})}}}});
  const auto watch = StartSynced();
  EXPECT_EQ(Query("GET", "resourceVersion", 0), "0");
  harness_.api.Put(PodPath("b"), {{"metadata", {{"managedFields", Json::array({1})}}}});
  harness_.api.Remove(PodPath("a"));
  EXPECT_TRUE(Logged({"=a", "+b", "-a"}));
  EXPECT_FALSE(log_.managed_fields());
  EXPECT_EQ(Query("WATCH", "allowWatchBookmarks", 0), "true");
  const int timeout = std::stoi(Query("WATCH", "timeoutSeconds", 0));
  EXPECT_GE(timeout, 300);
  EXPECT_LE(timeout, 600);
}

TEST_F(ListWatchTest, TakesPages) {
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    harness_.api.Put(PodPath(name), Json::object());
  }
  const auto watch = StartSynced({.page_size = 2});
  EXPECT_TRUE(Logged({"=a,b,c,d,e"}));
  EXPECT_EQ(harness_.api.Requests("LIST", "pods"), 3);
}

TEST_F(ListWatchTest, TakesEverythingAtOnceWhenPagesExpire) {
  for (const char* name : {"a", "b", "c"}) {
    harness_.api.Put(PodPath(name), Json::object());
  }
  // The first page is answered, the second has expired.
  harness_.api.InjectFault({.verb = "GET", .path = kPods, .times = 1, .status = 0});
  auto watch = Make({.page_size = 2});
  harness_.api.InjectFault(
      {.verb = "GET", .path = kPods, .times = 1, .status = 410, .reason = "Expired"});
  watch->Start();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return watch->synced(); }));
  EXPECT_TRUE(Logged({"=a,b,c"}));
  EXPECT_EQ(Query("GET", "limit", 2), "");
}

TEST_F(ListWatchTest, ResumesFromTheLastVersion) {
  const auto watch = StartSynced();
  harness_.api.Put(PodPath("a"), Json::object());
  ASSERT_TRUE(Logged({"=", "+a"}));
  harness_.client.BreakWatches();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100),
                                    [&] { return harness_.api.Requests("WATCH", "pods") == 2; }));
  harness_.api.Put(PodPath("b"), Json::object());
  EXPECT_TRUE(Logged({"=", "+a", "+b"}));
  EXPECT_EQ(harness_.api.Requests("LIST", "pods"), 1);
  EXPECT_EQ(Errors(), 1U);
}

TEST_F(ListWatchTest, ResumesFromABookmark) {
  const auto watch = StartSynced({.query = {{"fieldSelector", "spec.nodeName=here"}}});
  harness_.api.Put(PodPath("elsewhere"), Json::object());
  harness_.api.SendBookmarks();
  // The bookmark has arrived when something sent after it has.
  harness_.api.Put(PodPath("a"), {{"spec", {{"nodeName", "here"}}}});
  ASSERT_TRUE(Logged({"=", "+a"}));
  harness_.api.EndWatches();
  // The watch was short but had events: it is opened again at once.
  ASSERT_TRUE(Eventually([&] { return harness_.api.Requests("WATCH", "pods") == 2; }));
  EXPECT_EQ(Query("WATCH", "resourceVersion", 1), std::to_string(harness_.api.resource_version()));
  EXPECT_EQ(Errors(), 0U);
}

TEST_F(ListWatchTest, ListsAgainWhenTheVersionIsGone) {
  harness_.api.Put(PodPath("a"), Json::object());
  const auto watch = StartSynced();
  harness_.api.SetSilent(true);
  harness_.api.Remove(PodPath("a"));
  harness_.api.Put(PodPath("b"), Json::object());
  harness_.api.Compact();
  harness_.client.BreakWatches();
  harness_.api.SetSilent(false);
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return log_.lines().size() == 2; }));
  EXPECT_THAT(log_.lines(), ElementsAre("=a", "=b"));
}

TEST_F(ListWatchTest, BacksOffWhileRefused) {
  harness_.api.InjectFault(
      {.verb = "GET", .times = -1, .status = 403, .reason = "Forbidden", .message = "no"});
  auto watch = Make({});
  watch->Start();
  ASSERT_TRUE(Eventually([&] { return Errors() == 1; }));
  harness_.Advance(milliseconds(799));
  EXPECT_EQ(harness_.api.Requests("LIST", "pods"), 1);
  // 800 ms to 1.6 s, then twice that, …, 30 s to 60 s.
  ASSERT_TRUE(harness_.AdvanceUntil(seconds(1), [&] { return Errors() == 8; }));
  harness_.api.ClearFaults();
  ASSERT_TRUE(harness_.AdvanceUntil(seconds(1), [&] { return watch->synced(); }));
}

TEST_F(ListWatchTest, HonoursRetryAfter) {
  harness_.api.InjectFault({.verb = "GET", .status = 429, .retry_after = seconds(20)});
  auto watch = Make({});
  watch->Start();
  ASSERT_TRUE(Eventually([&] { return Errors() == 1; }));
  harness_.Advance(milliseconds(19'900));
  EXPECT_FALSE(watch->synced());
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(50), [&] { return watch->synced(); }));
}

TEST_F(ListWatchTest, AsksForTheNewestWhenItsVersionIsTooLarge) {
  harness_.api.Put(PodPath("a"), Json::object());
  const auto watch = StartSynced();
  harness_.api.Compact();
  harness_.api.InjectFault({.verb = "GET",
                            .path = kPods,
                            .status = 504,
                            .reason = "Timeout",
                            .message = "Timeout: Too large resource version: 9, current: 3"});
  harness_.client.BreakWatches();
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return log_.lines().size() == 2; }));
  EXPECT_NE(Query("GET", "resourceVersion", 1), "");
  EXPECT_EQ(Query("GET", "resourceVersionMatch", 1), "NotOlderThan");
  EXPECT_EQ(Query("GET", "resourceVersion", 2), "");
}

TEST_F(ListWatchTest, DoesNotSpinWhenWatchesEndAtOnce) {
  const auto watch = StartSynced();
  harness_.api.EndWatches();
  ASSERT_TRUE(Eventually([&] { return Errors() == 1; }));
  EXPECT_EQ(harness_.api.Requests("WATCH", "pods"), 1);
  EXPECT_TRUE(harness_.AdvanceUntil(milliseconds(200),
                                    [&] { return harness_.api.Requests("WATCH", "pods") == 2; }));
}

TEST_F(ListWatchTest, StopEndsItInEveryState) {
  auto waiting = Make({});
  harness_.api.InjectFault({.verb = "GET", .status = 500});
  waiting->Start();
  ASSERT_TRUE(Eventually([&] { return Errors() == 1; }));
  waiting->Stop();
  waiting.reset();

  auto watching = StartSynced();
  watching->Stop();
  EXPECT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 0; }));
  harness_.api.Put(PodPath("late"), Json::object());
  EXPECT_THAT(log_.lines(), ElementsAre("="));

  auto never_started = Make({});
}

TEST_F(ListWatchTest, RemembersTheLastContact) {
  const auto watch = StartSynced();
  const SteadyTime synced = watch->last_contact();
  harness_.Advance(seconds(60));
  harness_.api.SendBookmarks();
  EXPECT_TRUE(Eventually([&] { return watch->last_contact() == synced + seconds(60); }));
}

}  // namespace
}  // namespace farlet::kube
