#include "kube/auth/exec_credentials.h"

#include "kube/auth/file_credentials.h"
#include "runtime/base/time_format.h"
#include "tests/fakes/apiserver/fake_http_server_ca.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <future>

namespace farlet::kube {
namespace {

using farlet::testing::FakeCa;
using farlet::testing::FakeClock;

constexpr const char* kVersion = "client.authentication.k8s.io/v1";

class ExecCredentialsTest : public ::testing::Test {
 protected:
  // A plugin that is a shell script; "$0.runs" counts its runs.
  CredentialPlugin Plugin(const std::string& script) {
    CredentialPlugin plugin;
    plugin.field = "exec";
    plugin.api_version = kVersion;
    plugin.command =
        folder_.Write("plugin", "#!/bin/sh\necho >> \"$0.runs\"\n" + script + "\n", 0700).string();
    return plugin;
  }

  static std::string Print(const std::string& status) {
    return std::string("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"") + kVersion +
           "\",\"status\":" + status + "}'";
  }

  std::unique_ptr<ExecCredentials> Make(CredentialPlugin plugin) {
    auto ca = FileCredentials::Make(
        {.ca = {.field = "ca", .value = ca_.certificate_pem(), .file = {}}}, clock_);
    return std::make_unique<ExecCredentials>(std::move(plugin), *ca, clock_);
  }

  static Result<CredentialPtr> Get(Credentials& credentials) {
    auto promise = std::make_shared<std::promise<Result<CredentialPtr>>>();
    auto future = promise->get_future();
    credentials.Get([promise](Result<CredentialPtr> result) { promise->set_value(result); });
    return future.get();
  }

  std::string Failure(CredentialPlugin plugin) {
    const auto result = Get(*Make(std::move(plugin)));
    return result ? "it worked" : result.error().message;
  }

  size_t Runs() { return ReadFile(folder_.path() / "plugin.runs")->size(); }

  FakeClock clock_;
  TempFolder folder_;
  FakeCa ca_;
};

TEST_F(ExecCredentialsTest, TokenIsKeptUntilItExpires) {
  const WallTime expires = clock_.WallNow() + std::chrono::minutes(5);
  const auto credentials = Make(Plugin(
      Print(R"({"token":"secret","expirationTimestamp":")" + FormatRfc3339(expires) + "\"}")));
  const auto first = Get(*credentials);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ((*first)->bearer_token, "secret");
  EXPECT_EQ((*first)->ca_pem, ca_.certificate_pem());
  clock_.Advance(std::chrono::minutes(4));
  EXPECT_TRUE(Get(*credentials));
  EXPECT_EQ(Runs(), 1u);
  clock_.Advance(seconds(50));
  EXPECT_TRUE(Get(*credentials));
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(ExecCredentialsTest, RefusedTokenIsFetchedAgain) {
  const auto credentials = Make(Plugin(Print(R"({"token":"'$$'"})")));
  const auto first = Get(*credentials);
  ASSERT_TRUE(first) << first.error().message;
  credentials->Invalidate((*first)->generation);
  const auto second = Get(*credentials);
  EXPECT_NE((*first)->bearer_token, (*second)->bearer_token);
  EXPECT_GT((*second)->generation, (*first)->generation);
  EXPECT_EQ((*second)->tls_generation, (*first)->tls_generation);
  credentials->Invalidate((*first)->generation);  // long replaced
  EXPECT_TRUE(Get(*credentials));
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(ExecCredentialsTest, ClientCertificate) {
  const auto issued = ca_.Issue({});
  const std::string status = "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"" +
                             std::string(kVersion) + "\",\"status\":";
  const auto escaped = [](std::string pem) {
    for (size_t at = 0; (at = pem.find('\n', at)) != std::string::npos; at += 2) {
      pem.replace(at, 1, "\\n");
    }
    return pem;
  };
  const auto credentials =
      Make(Plugin(status + "{\"clientCertificateData\":\"" + escaped(issued.certificate_pem) +
                  "\",\"clientKeyData\":\"" + escaped(issued.key_pem) + "\"}}\nEND"));
  const auto got = Get(*credentials);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ((*got)->certificate_pem, issued.certificate_pem);
  EXPECT_EQ((*got)->key_pem, issued.key_pem);
}

TEST_F(ExecCredentialsTest, ArgumentsAndEnvironment) {
  CredentialPlugin plugin = Plugin(
      "[ \"$1 $2\" = 'one two' ] && [ \"$FLAVOUR\" = sweet ] && "
      "case $KUBERNETES_EXEC_INFO in *'\"server\":\"https://a\"'*) " +
      Print(R"({"token":"t"})") + ";; esac");
  plugin.arguments = {"one", "two"};
  plugin.environment = {{"FLAVOUR", "sweet"}};
  plugin.cluster_json = R"({"server":"https://a"})";
  const auto got = Get(*Make(std::move(plugin)));
  EXPECT_TRUE(got) << got.error().message;
}

TEST_F(ExecCredentialsTest, EverybodyWaitsForOneRun) {
  const auto credentials = Make(Plugin("sleep 0.2\n" + Print(R"({"token":"t"})")));
  std::vector<std::future<Result<CredentialPtr>>> waiting;
  for (int i = 0; i < 10; ++i) {
    auto promise = std::make_shared<std::promise<Result<CredentialPtr>>>();
    waiting.push_back(promise->get_future());
    credentials->Get([promise](Result<CredentialPtr> result) { promise->set_value(result); });
  }
  for (auto& one : waiting) {
    EXPECT_TRUE(one.get());
  }
  EXPECT_EQ(Runs(), 1u);
}

TEST_F(ExecCredentialsTest, FailuresSayWhy) {
  const std::string prefix = "exec: credential plugin " + (folder_.path() / "plugin").string();
  EXPECT_EQ(Failure(Plugin("echo 'please log in' >&2; exit 3")),
            prefix + ": exited with status 3: please log in");
  EXPECT_EQ(Failure(Plugin("kill -9 $$")), prefix + ": killed by signal 9");
  EXPECT_EQ(Failure(Plugin("echo hello")),
            prefix + ": it printed something that is not a JSON object");
  EXPECT_EQ(Failure(Plugin("echo '{}'")), prefix + ": it printed no ExecCredential");
  EXPECT_EQ(
      Failure(Plugin(R"(echo '{"kind":"ExecCredential","apiVersion":"v7"}')")),
      prefix + ": it printed apiVersion \"v7\", the kubeconfig asks for \"" + kVersion + "\"");
  EXPECT_EQ(Failure(Plugin(Print("{}"))),
            prefix + ": its status has neither token nor clientCertificateData");
  EXPECT_EQ(Failure(Plugin(Print(R"({"token":"t","expirationTimestamp":"soon"})")))
                .substr(0, prefix.size() + 21),
            prefix + ": expirationTimestamp");
  CredentialPlugin missing;
  missing.field = "exec";
  missing.command = "no-such-plugin-anywhere";
  missing.install_hint = "install it";
  const std::string message = Failure(missing);
  EXPECT_NE(message.find("No such file or directory; install it"), std::string::npos) << message;
}

TEST_F(ExecCredentialsTest, SlowAndChattyPluginsAreKilled) {
  CredentialPlugin slow = Plugin("sleep 60 & sleep 60");
  slow.timeout = milliseconds(200);
  const std::string message = Failure(slow);
  EXPECT_NE(message.find("still running after 200ms"), std::string::npos) << message;
  CredentialPlugin chatty = Plugin("yes");
  chatty.max_output = 10'000;
  const std::string too_much = Failure(chatty);
  EXPECT_NE(too_much.find("wrote more than 10000 bytes"), std::string::npos) << too_much;
}

TEST_F(ExecCredentialsTest, FailureIsRememberedForASecond) {
  const auto credentials = Make(Plugin("exit 1"));
  EXPECT_FALSE(Get(*credentials));
  EXPECT_FALSE(Get(*credentials));
  EXPECT_EQ(Runs(), 1u);
  clock_.Advance(seconds(1));
  EXPECT_FALSE(Get(*credentials));
  EXPECT_EQ(Runs(), 2u);
}

TEST_F(ExecCredentialsTest, OldCredentialStaysWhileThePluginFails) {
  const WallTime expires = clock_.WallNow() + seconds(60);
  const auto credentials = Make(
      Plugin("[ $(wc -l < \"$0.runs\") = 1 ] && " +
             Print(R"({"token":"t","expirationTimestamp":")" + FormatRfc3339(expires) + "\"}")));
  ASSERT_TRUE(Get(*credentials));
  clock_.Advance(seconds(55));
  EXPECT_EQ((*Get(*credentials))->bearer_token, "t");
  clock_.Advance(seconds(6));
  EXPECT_FALSE(Get(*credentials));
}

TEST_F(ExecCredentialsTest, DestructionStopsThePlugin) {
  auto credentials = Make(Plugin("sleep 60"));
  std::promise<Result<CredentialPtr>> told;
  credentials->Get([&](Result<CredentialPtr> result) { told.set_value(std::move(result)); });
  credentials.reset();
  EXPECT_FALSE(told.get_future().get());
}

}  // namespace
}  // namespace farlet::kube
