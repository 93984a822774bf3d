#include "provider/app/config.h"

#include "provider/app/config_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace farlet::app {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  std::filesystem::path Write(const std::string& body) {
    std::ofstream(path_) << "apiVersion: farlet.dev/v1alpha1\nkind: NodeConfiguration\n" << body;
    return path_;
  }

  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("config-") + ::testing::UnitTest::GetInstance()->current_test_info()->name() +
       ".yaml");
};

TEST_F(ConfigTest, ReadsEveryShape) {
  const auto config = LoadNodeConfig(Write(R"(nodeName: farlet-0
clusterDNS: [10.96.0.10]
nodeLabels: {tier: virtual}
registerWithTaints:
- {key: eks.amazonaws.com/compute-type, value: fargate, effect: NoSchedule}
capacity: {cpu: "2", memory: 8Gi}
maxPods: 50
serverTLSBootstrap: false
containerLogMaxSize: 1Mi
)"),
                                     {});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->node_name, "farlet-0");
  EXPECT_EQ(config->cluster_dns, std::vector<std::string>{"10.96.0.10"});
  EXPECT_EQ(config->node_labels.at("tier"), "virtual");
  ASSERT_EQ(config->register_with_taints.size(), 1U);
  EXPECT_EQ(config->register_with_taints[0].effect, "NoSchedule");
  EXPECT_EQ(config->capacity.at("memory").value(), int64_t{8} << 30);
  EXPECT_EQ(config->max_pods, 50);
  EXPECT_FALSE(config->server_tls_bootstrap);
  EXPECT_EQ(config->container_log_max_size.value(), 1 << 20);
  EXPECT_EQ(config->cert_dir, "/var/lib/farlet/pki");
}

TEST_F(ConfigTest, FlagsWinOverTheFile) {
  const auto config = LoadNodeConfig(Write("nodeName: from-file\nport: 1\n"),
                                     {{"node-name", "from-flag"},
                                      {"register-with-taints", "a=b:NoExecute,c:NoSchedule"},
                                      {"node-labels", "x=1,y="}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->node_name, "from-flag");
  EXPECT_EQ(config->port, 1);
  ASSERT_EQ(config->register_with_taints.size(), 2U);
  EXPECT_EQ(config->register_with_taints[0].value, "b");
  EXPECT_EQ(config->register_with_taints[1].key, "c");
  EXPECT_EQ(config->node_labels.at("y"), "");
}

TEST_F(ConfigTest, RatesAreExact) {
  const auto config = LoadNodeConfig(Write("nodeName: n\nfargateRates: {vcpu: \"0.05\"}\n"),
                                     {{"fargate-rates", "storage=0.000000001"}});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->fargate_rates.vcpu, 50'000'000);
  EXPECT_EQ(config->fargate_rates.gigabyte, fargate::Rates().gigabyte);
  EXPECT_EQ(config->fargate_rates.storage, 1);
}

TEST_F(ConfigTest, DefaultContainerLogSizeIsTenMebibytes) {
  const auto config = LoadNodeConfig(Write("nodeName: n\n"), {});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->container_log_max_size.value(), 10 << 20);
}

struct BadCase {
  std::string body;
  std::vector<FlagValue> flags;
  std::string message;
};

class BadConfigTest : public ConfigTest, public ::testing::WithParamInterface<BadCase> {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(::testing::TempDir()) /
            ("bad-config-" + std::to_string(reinterpret_cast<uintptr_t>(&GetParam())) + ".yaml");
  }
};

TEST_P(BadConfigTest, IsOneLineThatNamesThePlace) {
  const auto config = LoadNodeConfig(Write(GetParam().body), GetParam().flags);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kInvalidArgument);
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().message));
  EXPECT_EQ(config.error().message.find('\n'), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BadConfigTest,
    ::testing::Values(
        BadCase{"nodeNam: x\n", {}, "line 3: nodeNam: there is no such setting"},
        BadCase{"nodeName: [a]\n", {}, "nodeName: must be a single value"},
        BadCase{"clusterDNS: 10.0.0.1\n", {}, "clusterDNS: must be a list"},
        BadCase{"clusterDNS: [dns]\n", {}, "clusterDNS: \"dns\" is not an IP address"},
        BadCase{"port: 70000\n", {}, "port: \"70000\" is not a whole number from 1 to 65535"},
        BadCase{"capacity: {gpu: \"1\"}\n", {}, "capacity: resource \"gpu\" cannot be set"},
        BadCase{"capacity: {cpu: lots}\n", {}, "capacity: cpu: "},
        BadCase{"registerWithTaints: [{key: a, effect: Never}]\n", {}, "needs a key and an effect"},
        BadCase{"registerWithTaints: [{kee: a}]\n", {}, "a taint has no field \"kee\""},
        BadCase{"serverTLSBootstrap: maybe\n", {}, "neither true nor false"},
        BadCase{"logLevel: loud\n", {}, "\"loud\" is none of debug, info, warning, error"},
        BadCase{"nodeName: Upper\n", {}, "nodeName: \"Upper\" is not a node name"},
        BadCase{"nodeIP: here\n", {}, "nodeIP: \"here\" is not an IP address"},
        BadCase{"fargateRates: {vcpu: cheap}\n", {}, "fargateRates: vcpu: \"cheap\" is not a rate"},
        BadCase{"", {{"fargate-rates", "gpu=1"}}, "rate \"gpu\" is none of vcpu"},
        BadCase{"tlsCertFile: /a\n", {}, "set both or none"},
        BadCase{"rootDir: here\n", {}, "rootDir: \"here\" is not an absolute path"},
        BadCase{"a: [\n", {}, "line "},
        BadCase{"", {{"port", "x"}}, "--port: \"x\" is not a whole number"},
        BadCase{"", {{"nope", "x"}}, "--nope: there is no such flag"},
        BadCase{"", {{"register-with-taints", "a"}}, "is not KEY[=VALUE]:EFFECT"}));

TEST_F(ConfigTest, MissingFileIsNamed) {
  const auto config = LoadNodeConfig("/nonexistent/config.yaml", {});
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("/nonexistent/config.yaml"));
}

TEST_F(ConfigTest, WrongKindIsRefused) {
  std::ofstream(path_) << "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
  const auto config = LoadNodeConfig(path_, {});
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("apiVersion: must be farlet.dev/v1alpha1"));
}

TEST(FlagNameTest, FollowsTheKey) {
  EXPECT_EQ(FlagName("nodeIP"), "node-ip");
  EXPECT_EQ(FlagName("clusterDNS"), "cluster-dns");
  EXPECT_EQ(FlagName("clientCAFile"), "client-ca-file");
  EXPECT_EQ(FlagName("serverTLSBootstrap"), "server-tls-bootstrap");
  EXPECT_EQ(FlagName("kubeAPIBurst"), "kube-api-burst");
  EXPECT_EQ(FlagName("kubeAPIQPS"), "kube-api-qps");
}

}  // namespace
}  // namespace farlet::app
