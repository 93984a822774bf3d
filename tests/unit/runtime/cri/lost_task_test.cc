#include "runtime/cri/lost_task.h"

#include "tests/unit/runtime/cri/cri_test_support.h"

namespace farlet::cri {
namespace {

class LostTaskTest : public CriTest {
 protected:
  // A sandbox with `count` containers that were created and whose tasks CRI has lost.
  SandboxId MakeLost(int count) {
    const SandboxConfig config = PodConfig("web");
    const SandboxId sandbox = RunSandbox(config);
    for (int i = 0; i < count; ++i) {
      runtime_.LoseTask(Create(sandbox, MainConfig("web", static_cast<uint32_t>(i)), config).value);
    }
    return sandbox;
  }

  farlet::Status RemoveContainer(const std::string& id) {
    return Await<void>([&](auto done) { client_->RemoveContainer({id}, std::move(done)); });
  }

  farlet::Status RemoveSandbox(const SandboxId& id) {
    return Await<void>([&](auto done) { client_->RemovePodSandbox(id, std::move(done)); });
  }
};

TEST_F(LostTaskTest, IsEndedWhenItsContainerIsRemoved) {
  MakeLost(1);
  EXPECT_TRUE(RemoveContainer(runtime_.Containers().front().id));
  EXPECT_EQ(runtime_.LostTasks(), 0U);
  EXPECT_TRUE(runtime_.Containers().empty());
}

TEST_F(LostTaskTest, AllOfASandboxAreEnded) {
  EXPECT_TRUE(RemoveSandbox(MakeLost(3)));
  EXPECT_EQ(runtime_.LostTasks(), 0U);
  EXPECT_TRUE(runtime_.Sandboxes().empty());
}

TEST_F(LostTaskTest, MayHaveEndedOrGoneMeanwhile) {
  const SandboxId sandbox = MakeLost(1);
  runtime_.Inject({.rpc = "Tasks/Kill",
                   .when = testing::FakeCriServer::Fault::When::kAfter,
                   .error = MakeError(Code::kFailedPrecondition, "process already finished")});
  runtime_.Inject({.rpc = "Tasks/Delete",
                   .when = testing::FakeCriServer::Fault::When::kAfter,
                   .error = NotFound("no running task found")});
  EXPECT_TRUE(RemoveSandbox(sandbox));
  EXPECT_EQ(runtime_.LostTasks(), 0U);
}

TEST_F(LostTaskTest, ThatCannotBeEndedIsTold) {
  const SandboxId sandbox = MakeLost(1);
  runtime_.Inject({.rpc = "Tasks/Kill", .error = Internal("no")});
  const auto result = RemoveSandbox(sandbox);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "end a task that the runtime has lost: no");
  EXPECT_TRUE(RemoveSandbox(sandbox));
}

TEST_F(LostTaskTest, ThatAlwaysComesBackEndsTheTries) {
  const SandboxId sandbox = MakeLost(1);
  runtime_.Inject({.rpc = "RemovePodSandbox",
                   .error = MakeError(Code::kFailedPrecondition,
                                      "cannot delete running task abc: failed precondition"),
                   .times = -1});
  const auto result = RemoveSandbox(sandbox);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kFailedPrecondition);
  EXPECT_LT(runtime_.Calls("RemovePodSandbox"), 30);
}

TEST(LostTaskOfTest, ReadsTheContainersId) {
  EXPECT_EQ(LostTaskOf(Internal("failed to remove container \"c\": failed to delete containerd "
                                "container \"ab12\": cannot delete running task ab12: failed "
                                "precondition: unknown")),
            "ab12");
  EXPECT_EQ(LostTaskOf(Internal("cannot delete running task ab12")), "ab12");
  for (const std::string& other :
       {std::string("cannot delete running task "), std::string("cannot delete running task ../x"),
        std::string("task ab12 is running"),
        "cannot delete running task " + std::string(200, 'a')}) {
    EXPECT_EQ(LostTaskOf(Internal(other)), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace farlet::cri
