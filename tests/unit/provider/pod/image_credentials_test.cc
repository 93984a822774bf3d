#include "provider/pod/image_credentials.h"

#include "provider/pod/docker_config.h"
#include "tests/unit/provider/pod/pod_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;

std::string Base64(const std::string& text) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : text) {
    bits = bits << 8U | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) {
      out += kAlphabet[bits >> (count - 6) & 63U];
    }
  }
  if (count > 0) {
    out += kAlphabet[bits << (6 - count) & 63U];
  }
  return out + std::string((4 - out.size() % 4) % 4, '=');
}

TEST(NormalizeImageTest, Table) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  for (const auto& [image, normal] : std::vector<std::pair<std::string, std::string>>{
           {"busybox", "docker.io/library/busybox:latest"},
           {"busybox:1", "docker.io/library/busybox:1"},
           {"user/app", "docker.io/user/app:latest"},
           {"docker.io/busybox", "docker.io/library/busybox:latest"},
           {"index.docker.io/user/app", "docker.io/user/app:latest"},
           {"localhost/app", "localhost/app:latest"},
           {"localhost:5000/app:v1", "localhost:5000/app:v1"},
           {"registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"},
           {"[::1]:5000/a/b", "[::1]:5000/a/b:latest"},
           {"a.b/c__d/e--f.g:T_1.-", "a.b/c__d/e--f.g:T_1.-"},
           {"busybox@" + digest, "docker.io/library/busybox@" + digest},
           {"busybox:1@" + digest, "docker.io/library/busybox:1@" + digest}}) {
    const auto result = NormalizeImage(image);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(*result, normal);
  }
}

TEST(NormalizeImageTest, Malformed) {
  for (const std::string& image : {std::string(),
                                   std::string(" "),
                                   std::string("Busybox"),
                                   std::string("a//b"),
                                   std::string("/a"),
                                   std::string("a/"),
                                   std::string("a:"),
                                   std::string("a:b:c"),
                                   std::string("a b"),
                                   std::string("-a"),
                                   std::string("a-"),
                                   std::string("a..b/"),
                                   std::string("x.y/a___b"),
                                   std::string("a@sha256:123"),
                                   std::string("a@"),
                                   std::string("a:" + std::string(129, 'x')),
                                   std::string(64, 'a'),
                                   std::string(300, 'a'),
                                   std::string("x.y:port/a"),
                                   std::string("a\nb"),
                                   std::string("..x/a")}) {
    const auto result = NormalizeImage(image);
    ASSERT_FALSE(result) << image;
    EXPECT_EQ(result.error().code, Code::kInvalidArgument);
    EXPECT_THAT(result.error().message, testing::StartsWith("couldn't parse image name \""));
  }
  EXPECT_EQ(NormalizeImage("user/App").error().message,
            "couldn't parse image name \"user/App\": invalid reference format: repository name "
            "(user/App) must be lowercase");
}

class CredentialsTest : public testing::Test {
 protected:
  void PutSecret(const std::string& name, const Json& auths) {
    objects_.PutSecret(name, {{".dockerconfigjson", Base64(Json({{"auths", auths}}).dump())}});
  }

  // Who is tried, in order.
  std::vector<std::string> Users(const std::string& image,
                                 const std::vector<std::string>& secrets = {"s"}) {
    Json names = Json::array();
    for (const std::string& name : secrets) {
      names.push_back({{"name", name}});
    }
    const kube::Pod pod = BuildPod({{"spec", {{"imagePullSecrets", names}}}});
    const auto found = ImageCredentials(pod, image, objects_.Lookup(), warnings_);
    EXPECT_TRUE(found) << found.error().message;
    std::vector<std::string> users;
    for (const cri::ImageAuth& auth : found ? *found : std::vector<cri::ImageAuth>()) {
      users.push_back(auth.username);
    }
    return users;
  }

  FakeObjects objects_;
  std::vector<std::string> warnings_;
};

Json User(const std::string& name) {
  return {{"username", name}, {"password", "p"}};
}

TEST_F(CredentialsTest, BestMatchFirst) {
  PutSecret("s", {{"https://registry.test", User("host")},
                  {"registry.test/team", User("team")},
                  {"registry.test/team/app", User("app")},
                  {"registry.test:5000", User("port")},
                  {"*.test", User("glob")},
                  {"other.test", User("other")}});
  EXPECT_THAT(Users("registry.test/team/app:1"), ElementsAre("app", "team", "host", "glob"));
  EXPECT_THAT(Users("registry.test/team/b"), ElementsAre("team", "host", "glob"));
  EXPECT_THAT(Users("registry.test:5000/x"), ElementsAre("port"));
  EXPECT_THAT(Users("a.b.test/x"), ElementsAre(""));
  EXPECT_THAT(Users("registry.test/team/app@sha256:" + std::string(64, 'a')),
              ElementsAre("app", "team", "host", "glob"));
}

TEST_F(CredentialsTest, Globs) {
  PutSecret("s", {{"r*y.[a-c]x.te?t", User("u")}});
  EXPECT_THAT(Users("registry.bx.test/x"), ElementsAre("u"));
  EXPECT_THAT(Users("ry.ax.teet/x"), ElementsAre("u"));
  EXPECT_THAT(Users("registry.dx.test/x"), ElementsAre(""));
  EXPECT_THAT(Users("registry.bx.testt/x"), ElementsAre(""));
  PutSecret("s", {{std::string(30, '*') + "a.test", User("u")}});
  EXPECT_THAT(Users(std::string(60, 'b') + ".test/x"), ElementsAre(""));
}

TEST_F(CredentialsTest, DockerHubHasMoreNamesThanOne) {
  PutSecret("s", {{"https://index.docker.io/v1/", User("hub")}});
  EXPECT_THAT(Users("busybox"), ElementsAre("hub"));
  EXPECT_THAT(Users("user/app:1"), ElementsAre("hub"));
  EXPECT_THAT(Users("docker.io/user/app"), ElementsAre("hub"));
  EXPECT_THAT(Users("index.docker.io/user/app"), ElementsAre("hub"));
  EXPECT_THAT(Users("registry.test/app"), ElementsAre(""));
  PutSecret("s", {{"docker.io", User("short")}});
  EXPECT_THAT(Users("busybox"), ElementsAre("short"));
}

TEST_F(CredentialsTest, EveryFormOfEntry) {
  objects_.PutSecret("old",
                     {{".dockercfg", Base64(R"({"a.test": {"auth": "dXNlcjpwYTpzcw=="}})")}});
  PutSecret("tokens",
            {{"b.test", {{"identitytoken", "it"}}}, {"c.test", {{"registrytoken", "rt"}}}});
  const kube::Pod pod = BuildPod(
      {{"spec", {{"imagePullSecrets", Json::parse(R"([{"name": "old"}, {"name": "tokens"}])")}}}});
  auto found = ImageCredentials(pod, "a.test/x", objects_.Lookup(), warnings_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front().username, "user");
  EXPECT_EQ(found->front().password, "pa:ss");
  found = ImageCredentials(pod, "b.test/x", objects_.Lookup(), warnings_);
  EXPECT_EQ(found->front().identity_token, "it");
  found = ImageCredentials(pod, "c.test/x", objects_.Lookup(), warnings_);
  EXPECT_EQ(found->front().registry_token, "rt");
}

TEST_F(CredentialsTest, UnusableSecretsAreNamed) {
  objects_.PutSecret("nothing", Json::object());
  objects_.PutSecret("garbage", {{".dockerconfigjson", Base64("{not json")}});
  PutSecret("s", {{"a.test", User("u")}, {"b.test", {{"auth", "no colon"}}}});
  EXPECT_THAT(Users("a.test/x", {"missing", "nothing", "s", "garbage"}), ElementsAre("u"));
  EXPECT_THAT(warnings_,
              ElementsAre("Unable to retrieve some image pull secrets (missing, nothing, garbage); "
                          "attempting to pull the image may not succeed."));
}

TEST_F(CredentialsTest, WaitsForASecretThatIsBeingRead) {
  objects_.Hide(kube::ObjectKind::kSecret, "s");
  const kube::Pod pod =
      BuildPod({{"spec", {{"imagePullSecrets", Json::parse(R"([{"name": "s"}])")}}}});
  const auto found = ImageCredentials(pod, "x", objects_.Lookup(), warnings_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::kUnavailable);
}

TEST_F(CredentialsTest, TwoSecretsForOneRegistryAreBothTried) {
  PutSecret("one", {{"a.test", User("first")}});
  PutSecret("two", {{"https://a.test/v2/", User("second")}});
  PutSecret("three", {{"a.test", User("first")}});
  EXPECT_THAT(Users("a.test/x", {"one", "two", "three"}), ElementsAre("first", "second"));
}

}  // namespace
}  // namespace farlet::pod
