#include "kube/watch/informer.h"

#include "tests/fakes/apiserver/fake_api_server_harness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

using ::farlet::testing::ApiHarness;
using ::farlet::testing::Eventually;
using ::testing::ElementsAre;

struct Thing {
  struct Meta {
    std::string uid;
    std::string object_namespace;
    std::string name;
    std::string resource_version;
  };

  Meta meta;
  std::string color;

  static Result<Thing> FromJson(Json object) {
    if (object.contains("broken")) {
      return InvalidArgument("broken: must not be there");
    }
    const Json& meta = object["metadata"];
    return Thing{.meta = {.uid = meta["uid"],
                          .object_namespace = meta["namespace"],
                          .name = meta["name"],
                          .resource_version = meta["resourceVersion"]},
                 .color = object.value("color", "")};
  }
};

std::string Path(const std::string& name) {
  return "/apis/test/v1/namespaces/default/things/" + name;
}

class InformerTest : public ::testing::Test {
 protected:
  InformerTest()
      : informer_(harness_.client,
                  harness_.clock,
                  harness_.timers,
                  {.path = "/apis/test/v1/things"},
                  [this](const auto& before, const auto& after) { Note(before, after); }) {}

  void Note(const Informer<Thing>::Snapshot& before, const Informer<Thing>::Snapshot& after) {
    const auto show = [](const Informer<Thing>::Snapshot& thing) {
      return thing != nullptr ? thing->meta.name + ":" + thing->color : std::string();
    };
    const std::lock_guard lock(mutex_);
    changes_.push_back(show(before) + ">" + show(after));
  }

  std::vector<std::string> changes() {
    const std::lock_guard lock(mutex_);
    return changes_;
  }

  void StartSynced() {
    informer_.Start();
    ASSERT_TRUE(Eventually([&] { return harness_.api.OpenWatches() == 1; }));
  }

  bool Changed(const std::vector<std::string>& expected) {
    return Eventually([&] { return changes() == expected; });
  }

  ApiHarness harness_;
  std::mutex mutex_;  // guards changes_
  std::vector<std::string> changes_;
  Informer<Thing> informer_;
};

TEST_F(InformerTest, TellsOfAdditionChangeAndDeletion) {
  const Json made = harness_.api.Put(Path("a"), {{"color", "red"}});
  StartSynced();
  harness_.api.Put(Path("a"), {{"color", "blue"}});
  EXPECT_TRUE(Changed({">a:red", "a:red>a:blue"}));
  EXPECT_TRUE(informer_.synced());
  EXPECT_EQ(informer_.ByName("default", "a")->color, "blue");
  EXPECT_EQ(informer_.ByUid(made["metadata"]["uid"])->color, "blue");
  EXPECT_EQ(informer_.All().size(), 1U);
  harness_.api.Remove(Path("a"));
  EXPECT_TRUE(Changed({">a:red", "a:red>a:blue", "a:blue>"}));
  EXPECT_EQ(informer_.ByName("default", "a"), nullptr);
  EXPECT_TRUE(informer_.All().empty());
}

TEST_F(InformerTest, ComparesANewListWithTheStore) {
  harness_.api.Put(Path("gone"), {{"color", "red"}});
  harness_.api.Put(Path("same"), {{"color", "red"}});
  harness_.api.Put(Path("changed"), {{"color", "red"}});
  StartSynced();
  harness_.api.SetSilent(true);
  harness_.api.Remove(Path("gone"));
  harness_.api.Put(Path("changed"), {{"color", "blue"}});
  harness_.api.Put(Path("new"), {{"color", "blue"}});
  harness_.api.Compact();
  harness_.client.BreakWatches();
  harness_.api.SetSilent(false);
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return changes().size() >= 6; }));
  EXPECT_TRUE(Changed({">changed:red", ">gone:red", ">same:red", "gone:red>",
                       "changed:red>changed:blue", ">new:blue"}));
}

TEST_F(InformerTest, TakesAnObjectMadeAnewForAnotherOne) {
  harness_.api.Put(Path("a"), {{"color", "red"}});
  StartSynced();
  harness_.api.SetSilent(true);
  harness_.api.Remove(Path("a"));
  const Json again = harness_.api.Put(Path("a"), {{"color", "blue"}});
  harness_.api.Compact();
  harness_.client.BreakWatches();
  harness_.api.SetSilent(false);
  ASSERT_TRUE(harness_.AdvanceUntil(milliseconds(100), [&] { return changes().size() >= 3; }));
  EXPECT_THAT(changes(), ElementsAre(">a:red", "a:red>", ">a:blue"));
  EXPECT_EQ(informer_.ByName("default", "a")->meta.uid, again["metadata"]["uid"]);
}

TEST_F(InformerTest, LeavesOutWhatDoesNotDecodeAndKeepsWhatDid) {
  harness_.api.Put(Path("bad"), {{"broken", true}});
  harness_.api.Put(Path("good"), {{"color", "red"}});
  StartSynced();
  EXPECT_TRUE(Changed({">good:red"}));
  harness_.api.Put(Path("good"), {{"broken", true}});
  harness_.api.Put(Path("bad"), {{"color", "green"}});
  EXPECT_TRUE(Changed({">good:red", ">bad:green"}));
  EXPECT_EQ(informer_.ByName("default", "good")->color, "red");
}

TEST_F(InformerTest, NoHandlerAfterStop) {
  StartSynced();
  informer_.Stop();
  harness_.api.Put(Path("late"), Json::object());
  EXPECT_TRUE(changes().empty());
}

}  // namespace
}  // namespace farlet::kube
