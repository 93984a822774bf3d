// What a runtime may answer wrongly. The good answers are in grpc_client_test.cc, over the wire.

#include "runtime/cri/convert.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace farlet::cri {
namespace {

template <class Value>
void ExpectMissing(const Result<Value>& result, const std::string& message) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kInternal);
  EXPECT_EQ(result.error().message, message);
}

TEST(ConvertTest, RefusesAnswersWithoutIds) {
  ExpectMissing(FromSandboxStatus({}), "answer of PodSandboxStatus lacks the sandbox's id");
  ExpectMissing(FromContainerStatus({}), "answer of ContainerStatus lacks the container's id");
  ExpectMissing(FromImage({}, "ListImages"), "answer of ListImages lacks an image's id");
  ExpectMissing(RequireText("", "RunPodSandbox", "pod_sandbox_id"),
                "answer of RunPodSandbox lacks pod_sandbox_id");

  pb::ListPodSandboxResponse sandboxes;
  sandboxes.add_items()->set_id("s1");
  EXPECT_TRUE(FromSandboxList(sandboxes));
  sandboxes.add_items();
  ExpectMissing(FromSandboxList(sandboxes), "answer of ListPodSandbox lacks the sandbox's id");

  pb::ListContainersResponse containers;
  containers.add_containers()->set_id("c1");
  ExpectMissing(FromContainerList(containers),
                "answer of ListContainers lacks the sandbox's id of container c1");
  containers.mutable_containers(0)->set_pod_sandbox_id("s1");
  EXPECT_TRUE(FromContainerList(containers));
  containers.add_containers();
  ExpectMissing(FromContainerList(containers), "answer of ListContainers lacks a container's id");
}

TEST(ConvertTest, AStateThatWeDoNotKnowIsUnknown) {
  pb::ContainerStatusResponse response;
  response.mutable_status()->set_id("c1");
  response.mutable_status()->set_state(static_cast<pb::ContainerState>(17));
  EXPECT_EQ(FromContainerStatus(response)->state, ContainerState::kUnknown);
}

TEST(ConvertTest, StampsAreNanosecondsAndZeroMeansNever) {
  EXPECT_EQ(FromNanos(0), WallTime());
  EXPECT_EQ(FromNanos(-5), WallTime());
  EXPECT_EQ(FromNanos(1'500'000'000), WallTime(milliseconds(1500)));
}

TEST(ConvertTest, EveryAddressOfASandboxCounts) {
  pb::PodSandboxStatusResponse response;
  response.mutable_status()->set_id("s1");
  EXPECT_TRUE(FromSandboxStatus(response)->ips.empty());
  response.mutable_status()->mutable_network()->set_ip("10.0.0.1");
  response.mutable_status()->mutable_network()->add_additional_ips()->set_ip("fd00::1");
  EXPECT_EQ(FromSandboxStatus(response)->ips, (std::vector<std::string>{"10.0.0.1", "fd00::1"}));
}

}  // namespace
}  // namespace farlet::cri
