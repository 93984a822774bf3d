#include "kube/auth/kubeconfig.h"

#include "tests/fakes/apiserver/fake_http_server_ca.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <future>

namespace farlet::kube {
namespace {

using farlet::testing::FakeCa;
using farlet::testing::FakeClock;

class KubeconfigTest : public ::testing::Test {
 protected:
  // A kubeconfig with these lines in the cluster and in the user.
  Result<ClusterAccess> Load(const std::string& cluster, const std::string& user) {
    return LoadText(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: k, user: u, namespace: apps}}]\n"
        "clusters:\n- name: k\n  cluster:\n" +
        cluster + "users:\n- name: u\n  user:\n" + user);
  }

  Result<ClusterAccess> LoadText(const std::string& text, std::string_view context = {}) {
    return LoadKubeconfig(folder_.Write("config", text), clock_, context);
  }

  std::string Failure(const Result<ClusterAccess>& result) {
    if (result) {
      return "it worked";
    }
    EXPECT_EQ(result.error().code, Code::kInvalidArgument);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    const std::string prefix = "kubeconfig " + (folder_.path() / "config").string() + ": ";
    const std::string& message = result.error().message;
    return message.rfind(prefix, 0) == 0 ? message.substr(prefix.size()) : message;
  }

  static CredentialPtr Current(const ClusterAccess& access) {
    auto promise = std::make_shared<std::promise<CredentialPtr>>();
    access.credentials->Get([promise](Result<CredentialPtr> got) {
      EXPECT_TRUE(got) << got.error().message;
      promise->set_value(got ? *got : nullptr);
    });
    return promise->get_future().get();
  }

  const std::string server_ = "    server: https://10.0.0.1:6443\n";
  const std::string token_ = "    token: secret\n";
  FakeClock clock_;
  TempFolder folder_;
  FakeCa ca_;
};

TEST_F(KubeconfigTest, DataAndToken) {
  const auto access = LoadText(FormatKubeconfig("https://a:1", ca_.certificate_pem(), "x.pem"));
  EXPECT_FALSE(access);  // x.pem is missing
  const auto with_token = Load(server_ + "    tls-server-name: kubernetes\n", token_);
  ASSERT_TRUE(with_token) << with_token.error().message;
  EXPECT_EQ(with_token->server, "https://10.0.0.1:6443");
  EXPECT_EQ(with_token->tls_server_name, "kubernetes");
  EXPECT_EQ(with_token->default_namespace, "apps");
  EXPECT_EQ(Current(*with_token)->bearer_token, "secret");
}

TEST_F(KubeconfigTest, FormattedOneIsReadBack) {
  const auto issued = ca_.Issue({.common_name = "system:node:a"});
  folder_.Write("kubelet-client-current.pem", issued.certificate_pem + issued.key_pem);
  const auto access = LoadText(
      FormatKubeconfig("https://a:1", ca_.certificate_pem(), "kubelet-client-current.pem"));
  ASSERT_TRUE(access) << access.error().message;
  const auto current = Current(*access);
  EXPECT_EQ(access->server, "https://a:1");
  EXPECT_EQ(current->ca_pem, ca_.certificate_pem());
  EXPECT_EQ(current->certificate_pem, issued.certificate_pem + issued.key_pem);
}

TEST_F(KubeconfigTest, RelativeFilesLieBesideIt) {
  std::filesystem::create_directory(folder_.path() / "pki");
  const auto issued = ca_.Issue({});
  folder_.Write("pki/ca.crt", ca_.certificate_pem());
  folder_.Write("pki/a.crt", issued.certificate_pem);
  folder_.Write("pki/a.key", issued.key_pem);
  const auto access = Load(server_ + "    certificate-authority: pki/ca.crt\n",
                           "    client-certificate: pki/a.crt\n    client-key: pki/a.key\n");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(Current(*access)->ca_pem, ca_.certificate_pem());
}

TEST_F(KubeconfigTest, TokenFileBeatsToken) {
  folder_.Write("token", "from the file\n");
  const auto access = Load(server_, token_ + "    tokenFile: token\n");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(Current(*access)->bearer_token, "from the file");
}

TEST_F(KubeconfigTest, ExecPluginBesideIt) {
  folder_.Write("plugin",
                "#!/bin/sh\n"
                "case $KUBERNETES_EXEC_INFO in *10.0.0.1*) ;; *) exit 1;; esac\n"
                "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                "\"client.authentication.k8s.io/v1beta1\",\"status\":{\"token\":\"'$1$A'\"}}'\n",
                0700);
  const auto access = Load(server_,
                           "    exec:\n"
                           "      apiVersion: client.authentication.k8s.io/v1beta1\n"
                           "      command: ./plugin\n"
                           "      args: [to]\n"
                           "      env: [{name: A, value: ken}]\n"
                           "      provideClusterInfo: true\n");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(Current(*access)->bearer_token, "token");
}

TEST_F(KubeconfigTest, ChosenContext) {
  const std::string text =
      "current-context: a\n"
      "contexts:\n"
      "- {name: a, context: {cluster: one, user: u}}\n"
      "- {name: b, context: {cluster: two, user: u}}\n"
      "clusters:\n"
      "- {name: one, cluster: {server: 'https://one'}}\n"
      "- {name: two, cluster: {server: 'https://two'}}\n"
      "users: [{name: u, user: {token: t}}]\n";
  EXPECT_EQ(LoadText(text)->server, "https://one");
  EXPECT_EQ(LoadText(text, "b")->server, "https://two");
  EXPECT_EQ(Failure(LoadText(text, "c")), "contexts: there is no entry named \"c\"");
}

TEST_F(KubeconfigTest, WhatIsRefusedOnPurpose) {
  EXPECT_EQ(Failure(Load(server_ + "    insecure-skip-tls-verify: true\n", token_)),
            "clusters[k].cluster.insecure-skip-tls-verify: refused; TLS is always verified, give "
            "certificate-authority[-data]");
  EXPECT_TRUE(Load(server_ + "    insecure-skip-tls-verify: false\n", token_));
  EXPECT_EQ(Failure(Load(server_ + "    proxy-url: http://p\n", token_)),
            "clusters[k].cluster.proxy-url: proxies are not supported; remove it");
  for (const char* key : {"username", "password", "auth-provider", "as"}) {
    EXPECT_EQ(Failure(Load(server_, token_ + "    " + key + ": x\n")),
              std::string("users[u].user.") + key +
                  ": not supported; use a client certificate, a token or a credential plugin");
  }
  EXPECT_EQ(Failure(Load("    server: http://10.0.0.1\n", token_)),
            "clusters[k].cluster.server: \"http://10.0.0.1\" has to start with https://");
  EXPECT_TRUE(Load("    server: http://127.0.0.1:8080\n", token_));
}

TEST_F(KubeconfigTest, WhatIsMissingOrMalformed) {
  EXPECT_EQ(Failure(Load("    x: y\n", token_)),
            "clusters[k].cluster.server: missing; give https://HOST:PORT");
  EXPECT_EQ(Failure(Load(server_, "    x: y\n")),
            "users[u].user.token: missing; give a client certificate, token, tokenFile or exec");
  EXPECT_EQ(Failure(Load(server_, "    token: [a]\n")), "users[u].user.token: not a string");
  EXPECT_EQ(Failure(Load(server_ + "    certificate-authority-data: '***'\n", token_)),
            "clusters[k].cluster.certificate-authority-data: is not base64");
  EXPECT_EQ(Failure(Load(server_ + "    certificate-authority-data: aGVsbG8=\n", token_)),
            "clusters[k].cluster.certificate-authority-data: certificate: not a PEM certificate");
  const std::string missing = (folder_.path() / "no.crt").string();
  EXPECT_EQ(
      Failure(Load(server_ + "    certificate-authority: no.crt\n", token_)),
      "clusters[k].cluster.certificate-authority: open " + missing + ": No such file or directory");
  EXPECT_EQ(Failure(Load(server_, "    client-certificate: no.crt\n")),
            "users[u].user.client-key: missing; certificate and key are needed together");
  EXPECT_EQ(Failure(Load(server_, "    exec: {command: x}\n")),
            "users[u].user.exec.apiVersion: missing; use client.authentication.k8s.io/v1");
  EXPECT_EQ(Failure(Load(server_, "    exec: {apiVersion: v7, command: x}\n")),
            "users[u].user.exec.apiVersion: \"v7\" is not supported; use "
            "client.authentication.k8s.io/v1 or v1beta1");
  EXPECT_EQ(Failure(LoadText("contexts: []\n")),
            "current-context: missing; choose one of the contexts");
  EXPECT_EQ(Failure(LoadText("current-context: c\ncontexts: {c: d}\n")),
            "contexts: there is no entry named \"c\"");
  EXPECT_EQ(Failure(LoadText("just text")), "not a YAML mapping");
  EXPECT_EQ(Failure(LoadText("")), "not a YAML mapping");
  EXPECT_EQ(Failure(LoadText("a: [\n")).substr(0, 5), "line ");
  const auto no_file = LoadKubeconfig(folder_.path() / "none", clock_);
  ASSERT_FALSE(no_file);
  EXPECT_EQ(no_file.error().code, Code::kNotFound);
}

class InClusterTest : public KubeconfigTest {
 protected:
  void SetUp() override {
    ::setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  }

  void TearDown() override {
    ::unsetenv("KUBERNETES_SERVICE_HOST");
    ::unsetenv("KUBERNETES_SERVICE_PORT");
  }
};

TEST_F(InClusterTest, TokenAndCaAreReadAgain) {
  folder_.Write("token", "one");
  folder_.Write("ca.crt", ca_.certificate_pem());
  folder_.Write("namespace", "farlet");
  const auto access = LoadInCluster(clock_, folder_.path());
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->server, "https://10.96.0.1:443");
  EXPECT_EQ(access->default_namespace, "farlet");
  const auto first = Current(*access);
  EXPECT_EQ(first->bearer_token, "one");
  const FakeCa next_ca("next");
  folder_.Write("token", "two");
  folder_.Write("ca.crt", next_ca.certificate_pem());
  clock_.Advance(seconds(1));
  const auto second = Current(*access);
  EXPECT_EQ(second->bearer_token, "two");
  EXPECT_EQ(second->ca_pem, next_ca.certificate_pem());
  EXPECT_GT(second->tls_generation, first->tls_generation);
}

TEST_F(InClusterTest, Ipv6ServiceIsReachedByName) {
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  folder_.Write("token", "one");
  folder_.Write("ca.crt", ca_.certificate_pem());
  EXPECT_EQ(LoadInCluster(clock_, folder_.path())->server, "https://kubernetes.default.svc:443");
}

TEST_F(InClusterTest, OutsideAPod) {
  EXPECT_EQ(LoadInCluster(clock_, folder_.path()).error().message.substr(0, 33),
            "in-cluster configuration: token: ");
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(LoadInCluster(clock_, folder_.path()).error().message,
            "in-cluster configuration: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
            "set; outside a pod give a kubeconfig");
}

}  // namespace
}  // namespace farlet::kube
