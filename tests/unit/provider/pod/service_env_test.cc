#include "provider/pod/service_env.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::pod {
namespace {

std::shared_ptr<const kube::Service> MakeService(const std::string& object_namespace,
                                                 const std::string& name,
                                                 const std::string& ip,
                                                 nlohmann::json ports) {
  auto service = kube::Service::FromJson(
      {{"metadata", {{"uid", name}, {"namespace", object_namespace}, {"name", name}}},
       {"spec", {{"clusterIP", ip}, {"ports", std::move(ports)}}}});
  EXPECT_TRUE(service) << service.error().message;
  return std::make_shared<const kube::Service>(std::move(*service));
}

TEST(ServiceEnvTest, WritesTheDockerLinksVariables) {
  const auto env = ServiceEnv(
      {MakeService("shop", "redis-primary", "10.0.0.11",
                   {{{"port", 6379}}, {{"port", 53}, {"protocol", "UDP"}, {"name", "dns-x"}}})},
      "shop", true);
  const std::map<std::string, std::string> expected = {
      {"REDIS_PRIMARY_SERVICE_HOST", "10.0.0.11"},
      {"REDIS_PRIMARY_SERVICE_PORT", "6379"},
      {"REDIS_PRIMARY_SERVICE_PORT_DNS_X", "53"},
      {"REDIS_PRIMARY_PORT", "tcp://10.0.0.11:6379"},
      {"REDIS_PRIMARY_PORT_6379_TCP", "tcp://10.0.0.11:6379"},
      {"REDIS_PRIMARY_PORT_6379_TCP_PROTO", "tcp"},
      {"REDIS_PRIMARY_PORT_6379_TCP_PORT", "6379"},
      {"REDIS_PRIMARY_PORT_6379_TCP_ADDR", "10.0.0.11"},
      {"REDIS_PRIMARY_PORT_53_UDP", "udp://10.0.0.11:53"},
      {"REDIS_PRIMARY_PORT_53_UDP_PROTO", "udp"},
      {"REDIS_PRIMARY_PORT_53_UDP_PORT", "53"},
      {"REDIS_PRIMARY_PORT_53_UDP_ADDR", "10.0.0.11"}};
  EXPECT_EQ(env, expected);
}

TEST(ServiceEnvTest, OnlyTheOwnNamespaceAndAlwaysTheMaster) {
  const std::vector services = {
      MakeService("default", "kubernetes", "10.96.0.1", {{{"port", 443}, {"name", "https"}}}),
      MakeService("default", "other", "10.96.0.2", {{{"port", 80}}}),
      MakeService("shop", "web", "10.96.0.3", {{{"port", 80}}}),
      MakeService("shop", "headless", "None", {{{"port", 80}}})};
  const auto linked = ServiceEnv(services, "shop", true);
  EXPECT_EQ(linked.at("KUBERNETES_SERVICE_PORT_HTTPS"), "443");
  EXPECT_TRUE(linked.contains("WEB_SERVICE_HOST"));
  EXPECT_FALSE(linked.contains("OTHER_SERVICE_HOST"));
  EXPECT_FALSE(linked.contains("HEADLESS_SERVICE_HOST"));
  const auto unlinked = ServiceEnv(services, "shop", false);
  EXPECT_TRUE(unlinked.contains("KUBERNETES_SERVICE_HOST"));
  EXPECT_FALSE(unlinked.contains("WEB_SERVICE_HOST"));
}

TEST(ServiceTest, NamesTheBadField) {
  const auto service = kube::Service::FromJson(
      {{"metadata", {{"uid", "u"}, {"namespace", "n"}, {"name", "s"}}},
       {"spec", {{"clusterIP", "10.0.0.1"}, {"ports", {{{"port", "http"}}}}}}});
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().message, "spec.ports[0].port: must be a number from 1 to 65535");
}

}  // namespace
}  // namespace farlet::pod
