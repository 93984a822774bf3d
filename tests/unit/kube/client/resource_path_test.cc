#include "kube/client/client.h"
#include "kube/client/make_client.h"

#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

TEST(ResourcePathTest, EveryShape) {
  EXPECT_EQ(ResourcePath("v1", "nodes", "", ""), "/api/v1/nodes");
  EXPECT_EQ(ResourcePath("v1", "nodes", "", "a"), "/api/v1/nodes/a");
  EXPECT_EQ(ResourcePath("v1", "pods", "default", "web-0", "status"),
            "/api/v1/namespaces/default/pods/web-0/status");
  EXPECT_EQ(ResourcePath("coordination.k8s.io/v1", "leases", "kube-node-lease", "a"),
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a");
  EXPECT_EQ(ResourcePath("v1", "pods", "a/b", "../c?d"),
            "/api/v1/namespaces/a%2Fb/pods/..%2Fc%3Fd");
}

TEST(ResourcePathTest, ResourceOfAPath) {
  EXPECT_EQ(ResourceOfPath("/api/v1/nodes"), "nodes");
  EXPECT_EQ(ResourceOfPath("/api/v1/nodes/a/status"), "nodes/status");
  EXPECT_EQ(ResourceOfPath("/api/v1/namespaces/default/pods"), "pods");
  EXPECT_EQ(ResourceOfPath("/api/v1/namespaces/default/pods/web-0/status"), "pods/status");
  EXPECT_EQ(ResourceOfPath("/apis/coordination.k8s.io/v1/namespaces/x/leases/a"), "leases");
  EXPECT_EQ(ResourceOfPath("/api/v1/namespaces/default"), "namespaces");
  EXPECT_EQ(ResourceOfPath("/version"), "");
  EXPECT_EQ(ResourceOfPath(""), "");
}

}  // namespace
}  // namespace farlet::kube
