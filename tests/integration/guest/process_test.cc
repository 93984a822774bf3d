// What a process of a container may do, and as whom.
#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

namespace farlet::guest {
namespace {

using testing::HasSubstr;
using testing::Not;

class GuestProcess : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      ASSERT_TRUE(Prepare());
    }
  }

  // The value behind `key` in /proc/self/status as the container printed it.
  static std::string Value(const std::string& status, const std::string& key) {
    std::istringstream lines(status);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(key + ":\t")) {
        return line.substr(key.size() + 2);
      }
    }
    return {};
  }
};

TEST_F(GuestProcess, UserGroupsAndUmask) {
  auto request = MakeShell("c", "id -u; id -g; id -G; umask; echo x > /dev/stdout");
  auto* user = request.mutable_process()->mutable_user();
  user->set_uid(1000);
  user->set_gid(1001);
  user->add_additional_gids(2000);
  user->add_additional_gids(3000);
  user->set_umask(027);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "1000\n1001\n1001 2000 3000\n0027\nx\n");
}

TEST_F(GuestProcess, HomeComesFromPasswd) {
  auto request = MakeShell("c", "echo $HOME; pwd");
  request.mutable_process()->mutable_user()->set_uid(1000);
  request.mutable_process()->set_cwd("/made/for/it");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "/home/user\n/made/for/it\n");
  request = MakeShell("d", "echo $HOME");
  request.mutable_process()->add_env("HOME=/given");
  outcome = Run(request);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->out, "/given\n");
}

TEST_F(GuestProcess, Capabilities) {
  auto request = MakeContainer("c", {"cat", "/proc/self/status"});
  auto* sets = request.mutable_process()->mutable_capabilities();
  sets->Clear();
  sets->add_bounding("CAP_NET_BIND_SERVICE");
  sets->add_bounding("CAP_CHOWN");
  sets->add_permitted("CAP_NET_BIND_SERVICE");
  sets->add_effective("CAP_NET_BIND_SERVICE");
  sets->add_inheritable("CAP_NET_BIND_SERVICE");
  sets->add_ambient("CAP_NET_BIND_SERVICE");
  request.mutable_process()->mutable_user()->set_uid(1000);
  request.mutable_process()->set_no_new_privileges(true);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(Value(outcome->out, "CapBnd"), "0000000000000401");
  EXPECT_EQ(Value(outcome->out, "CapPrm"), "0000000000000400");
  EXPECT_EQ(Value(outcome->out, "CapEff"), "0000000000000400");
  EXPECT_EQ(Value(outcome->out, "CapInh"), "0000000000000400");
  EXPECT_EQ(Value(outcome->out, "CapAmb"), "0000000000000400");
  EXPECT_EQ(Value(outcome->out, "NoNewPrivs"), "1");
  request = MakeContainer("d", {"true"});
  request.mutable_process()->mutable_capabilities()->add_bounding("CAP_FLY");
  outcome = Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kInvalidArgument);
}

TEST_F(GuestProcess, RlimitsAndOomScore) {
  auto request = MakeShell("c", "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj");
  auto* limit = request.mutable_process()->add_rlimits();
  limit->set_type("RLIMIT_NOFILE");
  limit->set_soft(123);
  limit->set_hard(456);
  request.mutable_process()->set_oom_score_adj(789);
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "123\n456\n789\n");
}

v1::Seccomp DenyMkdir() {
  v1::Seccomp seccomp;
  seccomp.set_default_action("SCMP_ACT_ALLOW");
  seccomp.add_architectures("SCMP_ARCH_X86_64");
  auto* rule = seccomp.add_syscalls();
  rule->add_names("mkdir");
  rule->add_names("mkdirat");
  rule->set_action("SCMP_ACT_ERRNO");
  rule->set_errno_ret(122);  // EDQUOT
  return seccomp;
}

TEST_F(GuestProcess, SeccompForFirstAndExec) {
  for (const bool no_new_privileges : {false, true}) {
    auto request = MakeShell("c", "mkdir /tmp/d; echo up; sleep 1000");
    request.mutable_process()->set_no_new_privileges(no_new_privileges);
    *request.mutable_seccomp() = DenyMkdir();
    ASSERT_TRUE(Create(request));
    ASSERT_TRUE(Start("c"));
    ReadUntil("c", "up");
    auto error = Read("c", 2);
    ASSERT_TRUE(error);
    EXPECT_THAT(error->data(), HasSubstr("quota exceeded"));
    auto process = MakeProcess({"sh", "-c", "mkdir /tmp/d; cat /proc/self/status"});
    process.set_no_new_privileges(no_new_privileges);
    auto outcome = RunExec("c", process);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_THAT(outcome->err, HasSubstr("quota exceeded"));
    EXPECT_EQ(Value(outcome->out, "Seccomp"), "2");
    ASSERT_TRUE(Delete("c"));
  }
}

TEST_F(GuestProcess, SeccompThatAllowsByListAndKills) {
  auto request = MakeShell("c", "echo before; mkdir /tmp/d; echo after");
  auto* seccomp = request.mutable_seccomp();
  seccomp->set_default_action("SCMP_ACT_ALLOW");
  auto* rule = seccomp->add_syscalls();
  rule->add_names("mkdir");
  rule->set_action("SCMP_ACT_KILL_PROCESS");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "before\nafter\n");  // mkdir is a process of its own
  EXPECT_THAT(outcome->err, HasSubstr("Bad system call"));
}

TEST_F(GuestProcess, StreamsAreNoOtherDescriptors) {
  auto outcome = Run(MakeShell("c", "ls /proc/self/fd"));
  ASSERT_TRUE(outcome);
  // 3 is ls's own.
  EXPECT_EQ(outcome->out, "0\n1\n2\n3\n");
}

TEST_F(GuestProcess, HostnameIsThePods) {
  auto outcome = Run(MakeShell("c", "hostname"));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->out, "pod-1\n");
}

TEST_F(GuestProcess, OnlyItselfIsInSight) {
  auto outcome =
      Run(MakeShell("c", "ls -d /proc/[0-9]*; cat /proc/self/cgroup; cat /proc/self/mountinfo"));
  ASSERT_TRUE(outcome);
  EXPECT_THAT(outcome->out, testing::StartsWith("/proc/1\n"));
  EXPECT_THAT(outcome->out, Not(testing::ContainsRegex("\n/proc/[0-9]")));
  EXPECT_THAT(outcome->out, HasSubstr("\n0::/\n"));
  // Neither the agent's folders nor the old root.
  EXPECT_THAT(outcome->out, Not(HasSubstr("/build")));
  EXPECT_THAT(outcome->out, Not(HasSubstr("/ /mnt")));
}

TEST_F(GuestProcess, PodSysctls) {
  auto request = MakeShell("c", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start");
  (*request.mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "77";
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "77\n");
  (*request.mutable_sysctls())["no.such"] = "1";
  outcome = Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("sysctl no.such"));
  (*request.mutable_sysctls()).clear();
  (*request.mutable_sysctls())["../../etc/passwd"] = "1";
  outcome = Run(request);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace farlet::guest
