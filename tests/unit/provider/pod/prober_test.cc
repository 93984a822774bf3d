#include "provider/pod/prober.h"

#include "provider/pod/probe_machine.h"
#include "runtime/cri/grpc_client.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/fakes/cri/fake_cri_server.h"
#include "tests/unit/provider/pod/event_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace farlet::pod {
namespace {

using Verdict = ProbeMachine::Verdict;

TEST(ProbeMachineTest, NeedsItsThresholds) {
  ProbeMachine machine(ProbeType::kReadiness,
                       kube::Probe{.success_threshold = 2, .failure_threshold = 3});
  EXPECT_EQ(machine.verdict(), Verdict::kFailure);
  EXPECT_FALSE(machine.OnOutcome(true));
  EXPECT_FALSE(machine.OnOutcome(false));
  EXPECT_FALSE(machine.OnOutcome(true));
  EXPECT_TRUE(machine.OnOutcome(true));
  EXPECT_EQ(machine.verdict(), Verdict::kSuccess);
  EXPECT_FALSE(machine.OnOutcome(false));
  EXPECT_FALSE(machine.OnOutcome(false));
  EXPECT_TRUE(machine.OnOutcome(false));
  EXPECT_FALSE(machine.final());
}

TEST(ProbeMachineTest, LivenessFailureAndStartupAreFinal) {
  ProbeMachine liveness(ProbeType::kLiveness, kube::Probe{.failure_threshold = 1});
  EXPECT_FALSE(liveness.OnOutcome(true));
  EXPECT_FALSE(liveness.final());
  EXPECT_TRUE(liveness.OnOutcome(false));
  EXPECT_TRUE(liveness.final());
  ProbeMachine startup(ProbeType::kStartup, kube::Probe{});
  EXPECT_EQ(startup.verdict(), Verdict::kUnknown);
  EXPECT_TRUE(startup.OnOutcome(true));
  EXPECT_TRUE(startup.final());
}

TEST(ResolvePortTest, NumberAndName) {
  const kube::Container container{.ports = {{.name = "web", .container_port = 80}}};
  EXPECT_EQ(ResolvePort(kube::PortReference(8080), container), 8080);
  EXPECT_EQ(ResolvePort(kube::PortReference(std::string("web")), container), 80);
  EXPECT_EQ(ResolvePort(kube::PortReference(std::string("x")), container), 0);
  EXPECT_EQ(ResolvePort(kube::PortReference(70000), container), 0);
}

// Answers what the test says and remembers who was asked.
class FakeNet final : public NetProber {
 public:
  void Http(const HttpProbeRequest& request, ProbeDone done) override {
    ProbeOutcome outcome;
    {
      const std::lock_guard lock(mutex_);
      last_ = request;
      outcome = outcome_;
    }
    done(outcome);
    const std::lock_guard lock(mutex_);
    ++asked_;
  }

  void Tcp(const std::string&, uint16_t, milliseconds, ProbeDone done) override {
    Http({}, std::move(done));
  }

  void Answer(ProbeOutcome::Kind kind, const std::string& text = {}) {
    const std::lock_guard lock(mutex_);
    outcome_ = {.kind = kind, .text = text};
  }

  // Probes whose answers have been taken: a test may move the clock, as the next one waits for it.
  int asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  HttpProbeRequest last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;  // guards all below
  int asked_ = 0;
  HttpProbeRequest last_;
  ProbeOutcome outcome_;
};

class ProberTest : public ::testing::Test {
 protected:
  ProberTest() {
    pod_->meta = {.uid = "u1", .object_namespace = "ns", .name = "web"};
    container_.name = "c";
    container_.ports = {{.name = "http", .container_port = 8080}};
  }

  static kube::Probe Http(int failures = 1) {
    return {.action = kube::HttpGetAction{.path = "/ok", .port = std::string("http")},
            .failure_threshold = failures};
  }

  void Watch(bool was_started = false, bool was_ready = false, bool ending = false) {
    pod_->spec.containers = {container_};
    prober_.SetTargets(pod_,
                       {{.id = id_,
                         .container = "c",
                         .pod_ip = "10.0.0.5",
                         .started_at = clock_.WallNow(),
                         .was_started = was_started,
                         .was_ready = was_ready}},
                       ending);
  }

  // Lets due timers fire.
  void Advance(seconds duration) {
    clock_.Advance(duration);
    timers_.Poke();
  }

  bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 5000; ++i) {
      timers_.Poke();
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    return false;
  }

  ProbeResult Result() { return prober_.Results("u1")[id_]; }

  const cri::ContainerId id_{"x"};
  std::shared_ptr<kube::Pod> pod_ = std::make_shared<kube::Pod>();
  kube::Container container_;
  testing::FakeClock clock_;
  // What timers' callbacks use is older than they are.
  testing::EventLog events_;
  FakeNet net_;
  std::atomic<int> changes_{0};
  TimerService timers_{clock_};
  testing::FakeCriServer runtime_;
  std::unique_ptr<cri::Client> client_ = std::move(*cri::ConnectGrpcClient(runtime_.endpoint()));
  Prober prober_{*client_, net_,    PodEvents(events_),
                 clock_,   timers_, [this](const std::string&) { ++changes_; }};
};

TEST_F(ProberTest, ReadinessComesAndGoes) {
  container_.readiness_probe = Http();
  Watch();
  EXPECT_TRUE(Result().state.started);
  EXPECT_TRUE(Eventually([&] { return Result().state.ready; }));
  EXPECT_EQ(net_.last().host, "10.0.0.5");
  EXPECT_EQ(net_.last().port, 8080);
  EXPECT_EQ(net_.last().path, "/ok");
  net_.Answer(ProbeOutcome::Kind::kFailure, "HTTP probe failed with statuscode: 500");
  Advance(seconds(9));
  EXPECT_EQ(net_.asked(), 1);
  Advance(seconds(1));
  EXPECT_TRUE(Eventually([&] { return !Result().state.ready; }));
  EXPECT_FALSE(Result().failed);
  EXPECT_TRUE(Eventually([&] { return changes_ == 2 && net_.asked() == 2; }));
  EXPECT_EQ(events_.Count("web",
                          "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: "
                          "500"),
            1);
}

TEST_F(ProberTest, InitialDelay) {
  container_.readiness_probe = Http();
  container_.readiness_probe->initial_delay = seconds(5);
  Watch();
  Advance(seconds(4));
  EXPECT_EQ(net_.asked(), 0);
  Advance(seconds(1));
  EXPECT_TRUE(Eventually([&] { return Result().state.ready; }));
}

TEST_F(ProberTest, StartupGoesFirst) {
  container_.startup_probe = Http(2);
  container_.liveness_probe = Http(1);
  net_.Answer(ProbeOutcome::Kind::kFailure, "no");
  Watch();
  ASSERT_TRUE(Eventually([&] { return net_.asked() == 1; }));
  EXPECT_FALSE(Result().state.started);
  net_.Answer(ProbeOutcome::Kind::kSuccess);
  Advance(seconds(10));
  ASSERT_TRUE(Eventually([&] { return Result().state.started && net_.asked() == 3; }));
  net_.Answer(ProbeOutcome::Kind::kFailure, "dead");
  Advance(seconds(10));
  ASSERT_TRUE(Eventually([&] { return Result().failed.has_value(); }));
  EXPECT_EQ(*Result().failed, ProbeType::kLiveness);
  // It has said all that it has to say of this instance.
  const int asked = net_.asked();
  Advance(seconds(30));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(net_.asked(), asked);
}

TEST_F(ProberTest, StartupThatNeverSucceedsFails) {
  container_.startup_probe = Http(2);
  net_.Answer(ProbeOutcome::Kind::kFailure, "no");
  Watch();
  ASSERT_TRUE(Eventually([&] { return net_.asked() == 1; }));
  Advance(seconds(10));
  ASSERT_TRUE(Eventually([&] { return Result().failed.has_value(); }));
  EXPECT_EQ(*Result().failed, ProbeType::kStartup);
}

TEST_F(ProberTest, AdoptedContainerStaysReady) {
  container_.readiness_probe = Http();
  Watch(true, true);
  EXPECT_TRUE(Result().state.ready);
  net_.Answer(ProbeOutcome::Kind::kFailure, "no");
  Advance(seconds(10));
  EXPECT_TRUE(Eventually([&] { return !Result().state.ready; }));
}

TEST_F(ProberTest, EndingPodIsOnlyProbedForReadiness) {
  container_.liveness_probe = Http();
  Watch();
  ASSERT_TRUE(Eventually([&] { return net_.asked() == 1; }));
  Watch(false, false, true);
  net_.Answer(ProbeOutcome::Kind::kFailure, "no");
  Advance(seconds(10));
  std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(net_.asked(), 1);
  EXPECT_FALSE(Result().failed);
}

TEST_F(ProberTest, ErrorsAreTriedAgainAndThenIgnored) {
  container_.readiness_probe = Http();
  Watch();
  ASSERT_TRUE(Eventually([&] { return Result().state.ready; }));
  net_.Answer(ProbeOutcome::Kind::kError, "broken");
  Advance(seconds(10));
  ASSERT_TRUE(Eventually([&] { return net_.asked() == 4; }));
  EXPECT_TRUE(Eventually([&] {
    return events_.Count("web",
                         "Unhealthy: Readiness probe errored and resulted in unknown state: "
                         "broken") == 1;
  }));
  EXPECT_TRUE(Result().state.ready);
}

TEST_F(ProberTest, ExecProbe) {
  cri::SandboxConfig config{.metadata = {.name = "web", .uid = "u1"},
                            .labels = {{cri::labels::kPodUid, "u1"}}};
  const std::string id = runtime_.AddContainer(
      runtime_.AddSandbox(config), {.metadata = {.name = "c"}}, cri::ContainerState::kRunning);
  std::mutex mutex;
  std::vector<std::string> seen;
  runtime_.SetExec([&](const auto&, const auto& command) -> farlet::Result<cri::ExecSyncResult> {
    const std::lock_guard lock(mutex);
    seen = command;
    return cri::ExecSyncResult{.stdout_text = "out", .stderr_text = "err", .exit_code = 1};
  });
  container_.env = {{.name = "A", .source = std::string("value")}};
  container_.liveness_probe = kube::Probe{
      .action = kube::ExecAction{.command = {"check", "$(A)", "$(B)"}}, .failure_threshold = 1};
  pod_->spec.containers = {container_};
  prober_.SetTargets(pod_, {{.id = {id}, .container = "c", .started_at = clock_.WallNow()}}, false);
  ASSERT_TRUE(Eventually([&] { return prober_.Results("u1")[{id}].failed.has_value(); }));
  EXPECT_TRUE(Eventually(
      [&] { return events_.Count("web", "Unhealthy: Liveness probe failed: outerr") == 1; }));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(seen, (std::vector<std::string>{"check", "value", "$(B)"}));
}

}  // namespace
}  // namespace farlet::pod
