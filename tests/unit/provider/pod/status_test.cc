#include "provider/pod/status.h"

#include "runtime/base/time_format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

std::filesystem::path DataFolder() {
  return std::filesystem::path(FARLET_TEST_DATA) / "status";
}

WallTime Time(const std::string& text) {
  const Result<WallTime> time = ParseRfc3339(text);
  EXPECT_TRUE(time) << text;
  return *time;
}

cri::ContainerState StateOf(const std::string& name) {
  if (name == "created") {
    return cri::ContainerState::kCreated;
  }
  if (name == "running") {
    return cri::ContainerState::kRunning;
  }
  return name == "exited" ? cri::ContainerState::kExited : cri::ContainerState::kUnknown;
}

cri::SandboxStatus ReadSandbox(const Json& in) {
  cri::SandboxStatus status;
  status.sandbox.id = {in["id"]};
  status.sandbox.state =
      in["state"] == "ready" ? cri::SandboxState::kReady : cri::SandboxState::kNotReady;
  status.ips = in["ips"].get<std::vector<std::string>>();
  return status;
}

cri::ContainerView ReadContainer(const Json& in) {
  cri::ContainerView view;
  view.sandbox = {in["sandbox"]};
  cri::ContainerStatus& status = view.status;
  status.id = {in["id"]};
  status.metadata.name = in["name"];
  status.state = StateOf(in["state"]);
  status.started_at = Time(in.value("startedAt", "1970-01-01T00:00:00Z"));
  status.finished_at = Time(in.value("finishedAt", "1970-01-01T00:00:00Z"));
  status.exit_code = in.value("exitCode", 0);
  status.reason = in.value("reason", "");
  status.message = in.value("message", "");
  status.image = in["image"];
  status.image_ref = in["imageRef"];
  status.annotations["io.kubernetes.container.restartCount"] =
      std::to_string(in["restartCount"].get<int>());
  return view;
}

// A member, or an empty value that outlives the caller's loop.
const Json& Part(const Json& json, const char* key) {
  static const Json kNone = Json::object();
  const auto found = json.find(key);
  return found == json.end() ? kNone : *found;
}

// A fixture: what is known, and the status that it makes.
class Fixture {
 public:
  explicit Fixture(const Json& json) {
    object_ = json["pod"];
    for (const Json& sandbox : Part(json["runtime"], "sandboxes")) {
      runtime_.sandboxes.push_back(ReadSandbox(sandbox));
    }
    for (const Json& container : Part(json["runtime"], "containers")) {
      runtime_.containers.push_back(ReadContainer(container));
    }
    for (const auto& [name, reason] : Part(json, "waiting").items()) {
      waiting_[name] = {.reason = reason["reason"], .message = reason["message"]};
    }
    for (const auto& [id, probe] : Part(json, "probes").items()) {
      probes_[{id}] = {.started = probe["started"], .ready = probe["ready"]};
    }
    for (const auto& [id, message] : Part(json, "messages").items()) {
      messages_[{id}] = message;
    }
    if (json.contains("failure")) {
      failure_ = {.reason = json["failure"]["reason"], .message = json["failure"]["message"]};
    }
    finished_ = json.value("finished", false);
  }

  // `status`: what the API has now.
  Json Compute(const Json& status) const {
    Json object = object_;
    object["status"] = status;
    Result<kube::Pod> pod = kube::Pod::FromJson(std::move(object));
    EXPECT_TRUE(pod) << pod.error().message;
    EXPECT_FALSE(pod->invalid) << pod->invalid->message;
    return ComputeStatus({.pod = *pod,
                          .runtime = runtime_,
                          .waiting = waiting_,
                          .probes = probes_,
                          .failure = failure_,
                          .finished = finished_,
                          .start_time = Time("2026-11-22T10:00:00Z"),
                          .now = Time("2026-11-22T10:00:40Z"),
                          .host_ip = "192.0.2.10",
                          .termination_messages = messages_});
  }

  const Json& object() const { return object_; }

 private:
  Json object_;
  cri::PodRuntime runtime_;
  std::map<std::string, WaitingReason> waiting_;
  std::map<cri::ContainerId, ProbeState> probes_;
  std::map<cri::ContainerId, std::string> messages_;
  std::optional<PodFailure> failure_;
  bool finished_ = false;
};

std::vector<std::string> FixtureNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(DataFolder())) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Json ReadFixture(const std::string& name) {
  std::ifstream file(DataFolder() / (name + ".json"));
  return Json::parse(file);
}

class StatusTest : public testing::TestWithParam<std::string> {};

// FARLET_UPDATE_DATA=1 writes what is computed into the fixtures; read the difference.
TEST_P(StatusTest, Golden) {
  Json json = ReadFixture(GetParam());
  const Fixture fixture(json);
  const Json status = fixture.Compute(fixture.object()["status"]);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing changes the environment.
  if (std::getenv("FARLET_UPDATE_DATA") != nullptr) {
    json["expected"] = status;
    std::ofstream(DataFolder() / (GetParam() + ".json")) << json.dump(2) << "\n";
  }
  EXPECT_EQ(status, json["expected"]) << json["description"] << "\n"
                                      << Json::diff(json["expected"], status).dump(1);
}

TEST_P(StatusTest, IsStableOnceTheApiHasIt) {
  const Fixture fixture(ReadFixture(GetParam()));
  const Json first = fixture.Compute(fixture.object()["status"]);
  const Json second = fixture.Compute(first);
  EXPECT_EQ(StatusPatch("uid", first, second), std::nullopt)
      << StatusPatch("uid", first, second)->dump(1);
}

INSTANTIATE_TEST_SUITE_P(Fixtures,
                         StatusTest,
                         testing::ValuesIn(FixtureNames()),
                         [](const auto& test) { return test.param; });

TEST(StatusPatchTest, NothingToDo) {
  const Json status = {{"phase", "Running"}, {"conditions", Json::array()}};
  EXPECT_EQ(StatusPatch("u", status, status), std::nullopt);
}

TEST(StatusPatchTest, NullAndMissingAreTheSame) {
  const Json current = Json::parse(R"({"phase": "Running", "podIP": null, "conditions":
      [{"type": "Ready", "status": "True", "lastProbeTime": null}]})");
  const Json desired =
      Json::parse(R"({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})");
  EXPECT_EQ(StatusPatch("u", current, desired), std::nullopt);
}

TEST(StatusPatchTest, OnlyWhatDiffers) {
  const Json current = Json::parse(R"({"phase": "Pending", "hostIP": "1.2.3.4", "reason": "Old",
      "nominatedNodeName": "somebody else's",
      "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
                     {"type": "PodScheduled", "status": "True"}, {"type": "x/y", "status": "True"}]})");
  const Json desired = Json::parse(R"({"phase": "Running", "hostIP": "1.2.3.4",
      "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]})");
  const auto patch = StatusPatch("u", current, desired);
  ASSERT_TRUE(patch);
  EXPECT_EQ(*patch, Json::parse(R"({"metadata": {"uid": "u"}, "status": {"phase": "Running",
      "reason": null, "conditions": [{"type": "Ready", "status": "True", "reason": null}]}})"))
      << patch->dump(1);
}

TEST(StatusPatchTest, AddressesAreReplacedNotMerged) {
  const Json current = Json::parse(R"({"podIPs": [{"ip": "10.0.0.1"}]})");
  const Json desired = Json::parse(R"({"podIPs": [{"ip": "10.0.0.2"}], "hostIPs": [{"ip": "h"}]})");
  const auto patch = StatusPatch("u", current, desired);
  ASSERT_TRUE(patch);
  EXPECT_EQ((*patch)["status"]["podIPs"],
            Json::parse(R"([{"$patch": "replace"}, {"ip": "10.0.0.2"}])"));
  EXPECT_EQ((*patch)["status"]["hostIPs"], Json::parse(R"([{"ip": "h"}])"));
}

TEST(StatusPatchTest, CurrentMayBeNull) {
  const auto patch = StatusPatch("u", nullptr, {{"phase", "Pending"}});
  ASSERT_TRUE(patch);
  EXPECT_EQ((*patch)["status"], Json({{"phase", "Pending"}}));
}

TEST(StatusTest, MessagesAreCutAndMadeValid) {
  Json json = ReadFixture("failed_never");
  json["messages"] = {{"c1", std::string(20'000, 'x')}};
  Json status = Fixture(json).Compute(json["pod"]["status"]);
  const auto message = [&] {
    return status["containerStatuses"][1]["state"]["terminated"]["message"].get<std::string>();
  };
  EXPECT_EQ(message().size(), 12U * 1024 / 2);
  cri::ContainerView view = ReadContainer(json["runtime"]["containers"][0]);
  view.status.message = "bad \xff\xfe bytes";
  cri::PodRuntime runtime;
  runtime.containers = {ReadContainer(json["runtime"]["containers"][1]), view};
  const Result<kube::Pod> pod = kube::Pod::FromJson(json["pod"]);
  status = ComputeStatus({.pod = *pod,
                          .runtime = runtime,
                          .waiting = {},
                          .probes = {},
                          .start_time = Time("2026-11-22T10:00:00Z"),
                          .now = Time("2026-11-22T10:00:40Z"),
                          .termination_messages = {}});
  EXPECT_EQ(message(), "bad \xef\xbf\xbd\xef\xbf\xbd bytes");
}

}  // namespace
}  // namespace farlet::pod
