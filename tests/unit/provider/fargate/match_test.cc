#include "provider/fargate/match.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace farlet::fargate {
namespace {

using Outcome = Match::Outcome;

ProfilePtr MakeProfile(std::string name, std::vector<Selector> selectors) {
  Profile profile;
  profile.meta.name = std::move(name);
  profile.selectors = std::move(selectors);
  return std::make_shared<const Profile>(std::move(profile));
}

PodFacts MakePod(std::string object_namespace, kube::StringMap labels = {}) {
  PodFacts pod;
  pod.object_namespace = std::move(object_namespace);
  pod.labels = std::move(labels);
  return pod;
}

// The profile that is found, or what stands for none.
std::string Found(const PodFacts& pod, std::vector<ProfilePtr> profiles) {
  const Match match = FindProfile(pod, ProfileSet(std::move(profiles)), Names());
  return match.profile == nullptr ? "" : match.profile->meta.name;
}

TEST(WildcardTest, StarIsAnythingAndQuestionMarkOneCharacter) {
  const struct {
    const char* pattern;
    const char* text;
    bool matches;
  } cases[] = {
      {"prod", "prod", true},
      {"prod", "prods", false},
      {"prod*", "prod", true},
      {"prod*", "prod-metrics", true},
      {"*dev", "my-dev", true},
      {"*dev", "dev-1", false},
      {"value?", "valuea", true},
      {"value?", "value", false},
      {"value?", "value-a", false},
      {"frontend*?", "frontend", false},
      {"frontend*?", "frontend1", true},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"?", "", false},
      {"a*b*c", "aXXbYYbc", true},
      {"a*b*c", "aXXbYYb", false},
      {"**", "x", true},
      {"*a?c*", "zzabczz", true},
      {"Prod", "prod", false},
  };

  for (const auto& one : cases) {
    EXPECT_EQ(WildcardMatch(one.pattern, one.text), one.matches) << one.pattern << " " << one.text;
  }
}

TEST(WildcardTest, ManyStarsTakeNoExponentialTime) {
  const std::string text(63, 'a');
  std::string pattern;
  for (int i = 0; i < 30; ++i) {
    pattern += "*a";
  }
  EXPECT_FALSE(WildcardMatch(pattern + "b", text));
  EXPECT_TRUE(WildcardMatch(pattern + "*", text));
}

TEST(SelectorTest, AllLabelsHaveToMatch) {
  const Selector selector{.object_namespace = "dev", .labels = {{"env", "dev"}, {"app*", "w?b"}}};
  EXPECT_EQ(Mismatch(selector, "dev", {{"env", "dev"}, {"app.kubernetes.io/name", "web"}}), "");
  EXPECT_EQ(Mismatch(selector, "dev", {{"env", "dev"}}), "no label app*=w?b");
  EXPECT_EQ(Mismatch(selector, "dev", {{"env", "prod"}, {"app", "web"}}), "no label env=dev");
  EXPECT_EQ(Mismatch(selector, "prod", {{"env", "dev"}, {"app", "web"}}),
            "namespace \"prod\" is not \"dev\"");
}

// Key and value have to be of the same label.
TEST(SelectorTest, WildcardKeyIsMetByOneLabel) {
  const Selector selector{.object_namespace = "*", .labels = {{"team*", "a"}}};
  EXPECT_EQ(Mismatch(selector, "x", {{"team1", "b"}, {"team2", "a"}}), "");
  EXPECT_EQ(Mismatch(selector, "x", {{"team1", "b"}, {"other", "a"}}), "no label team*=a");
}

TEST(FindProfileTest, AnySelectorOfAProfileWillDo) {
  const auto profile = MakeProfile("p", {{.object_namespace = "a"}, {.object_namespace = "b*"}});
  EXPECT_EQ(Found(MakePod("a"), {profile}), "p");
  EXPECT_EQ(Found(MakePod("beta"), {profile}), "p");
  EXPECT_EQ(Found(MakePod("c"), {profile}), "");
}

TEST(FindProfileTest, FirstNameWins) {
  const auto prod = MakeProfile("prod-workload", {{.object_namespace = "x"}});
  const auto beta = MakeProfile("beta-workload", {{.object_namespace = "x"}});
  const auto ten = MakeProfile("beta-10", {{.object_namespace = "x"}});
  EXPECT_EQ(Found(MakePod("x"), {prod, beta}), "beta-workload");
  EXPECT_EQ(Found(MakePod("x"), {prod, beta, ten}), "beta-10");
}

TEST(FindProfileTest, LabelForcesAProfileThatMatches) {
  const auto first = MakeProfile("a", {{.object_namespace = "x"}});
  const auto second = MakeProfile("b", {{.object_namespace = "x"}});
  const auto other = MakeProfile("c", {{.object_namespace = "y"}});
  const ProfileSet profiles({first, second, other});
  const auto find = [&](const std::string& name) {
    return FindProfile(MakePod("x", {{"eks.amazonaws.com/fargate-profile", name}}), profiles,
                       Names());
  };
  EXPECT_EQ(find("b").profile, second);
  EXPECT_EQ(find("c").outcome, Outcome::kWrongProfile);
  EXPECT_EQ(find("c").reason,
            "its label eks.amazonaws.com/fargate-profile asks for profile \"c\", which has no "
            "selector that matches it");
  EXPECT_EQ(find("d").reason,
            "its label eks.amazonaws.com/fargate-profile asks for profile \"d\", which does not "
            "exist");
}

TEST(FindProfileTest, AnnotationOptsOut) {
  const auto profile = MakeProfile("p", {{.object_namespace = "*"}});
  PodFacts pod = MakePod("x");
  pod.annotations = {{"eks.amazonaws.com/compute-type", "ec2"}};
  EXPECT_EQ(FindProfile(pod, ProfileSet({profile}), Names()).outcome, Outcome::kOptedOut);
  pod.annotations = {{"eks.amazonaws.com/compute-type", "fargate"}};
  EXPECT_EQ(Found(pod, {profile}), "p");
}

TEST(FindProfileTest, LeavesAloneWhatIsNotForFargate) {
  const ProfileSet profiles({MakeProfile("p", {{.object_namespace = "*"}})});
  PodFacts daemon = MakePod("x");
  daemon.daemon_set = true;
  PodFacts mirror = MakePod("x");
  mirror.mirror = true;
  PodFacts bound = MakePod("x");
  bound.node_name = "n";
  for (const PodFacts* pod : {&daemon, &mirror, &bound}) {
    const Match match = FindProfile(*pod, profiles, Names());
    EXPECT_EQ(match.outcome, Outcome::kNotForFargate);
    EXPECT_NE(match.reason, "");
  }
}

TEST(FindProfileTest, PrefixIsASetting) {
  const auto profile = MakeProfile("p", {{.object_namespace = "*"}});
  const ProfileSet profiles({profile, MakeProfile("q", {{.object_namespace = "*"}})});
  PodFacts pod = MakePod(
      "x", {{"example.org/fargate-profile", "q"}, {"eks.amazonaws.com/fargate-profile", "nobody"}});
  EXPECT_EQ(FindProfile(pod, profiles, Names("example.org")).profile->meta.name, "q");
  pod.annotations = {{"eks.amazonaws.com/compute-type", "ec2"}};
  EXPECT_EQ(FindProfile(pod, profiles, Names("example.org")).outcome, Outcome::kProfile);
  pod.annotations = {{"example.org/compute-type", "ec2"}};
  EXPECT_EQ(FindProfile(pod, profiles, Names("example.org")).outcome, Outcome::kOptedOut);
}

}  // namespace
}  // namespace farlet::fargate
