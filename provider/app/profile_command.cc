#include "provider/app/profile_command.h"

#include "kube/client/client.h"
#include "provider/app/api_access.h"
#include "provider/fargate/explain.h"
#include "provider/fargate/profile_file.h"
#include "provider/fargate/yaml_document.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

namespace farlet::app {
namespace {

using fargate::Profile;
using fargate::ProfilePtr;
using kube::Json;

constexpr int kRefused = 1;
constexpr int kError = 2;
constexpr size_t kMaxFile = size_t{8} << 20;

std::string PathOf(const std::string& name) {
  return name.empty() ? std::string(fargate::kProfilePath)
                      : fmt::format("{}/{}", fargate::kProfilePath, name);
}

// The API server, for as long as one command runs.
class Cluster {
 public:
  static Result<std::unique_ptr<Cluster>> Connect(const std::filesystem::path& kubeconfig) {
    auto cluster = std::make_unique<Cluster>();
    FARLET_ASSIGN(cluster->client_, ConnectApi(kubeconfig, cluster->clock_, cluster->timers_));
    return cluster;
  }

  Result<Json> Get(const std::string& name) {
    return kube::Await<Json>(
        [&](auto done) { client_->Get(PathOf(name), {}, {}, std::move(done)); });
  }

  Result<Json> Create(const Json& object) {
    return kube::Await<Json>(
        [&](auto done) { client_->Create(PathOf({}), object, {}, std::move(done)); });
  }

  Result<Json> Replace(const std::string& name, const Json& object) {
    return kube::Await<Json>(
        [&](auto done) { client_->Replace(PathOf(name), object, {}, std::move(done)); });
  }

  Result<Json> Delete(const std::string& name) {
    return kube::Await<Json>(
        [&](auto done) { client_->Delete(PathOf(name), {}, {}, std::move(done)); });
  }

 private:
  RealClock clock_;
  TimerService timers_{clock_};
  std::unique_ptr<kube::Client> client_;
};

// What was done: "created", "configured", "unchanged".
Result<std::string> ApplyOne(Cluster& cluster, const Profile& profile) {
  Json wanted = fargate::ProfileToJson(profile);
  auto current = cluster.Get(profile.meta.name);
  if (!current && current.error().code == Code::kNotFound) {
    FARLET_TRY(cluster.Create(wanted));
    return std::string("created");
  }
  if (!current) {
    return current.error();
  }
  if ((*current)["spec"] == wanted["spec"]) {
    return std::string("unchanged");
  }
  (*current)["spec"] = std::move(wanted["spec"]);
  FARLET_TRY(cluster.Replace(profile.meta.name, *current));
  return std::string("configured");
}

Status Apply(const ProfileCommand& command) {
  FARLET_ASSIGN(const std::vector<Profile> profiles, fargate::LoadProfiles(command.file));
  if (profiles.empty()) {
    return InvalidArgument(fmt::format("{}: it has no fargateProfiles", command.file.string()));
  }
  FARLET_ASSIGN(const auto cluster, Cluster::Connect(command.kubeconfig));
  for (const Profile& profile : profiles) {
    FARLET_ASSIGN(const std::string done, ApplyOne(*cluster, profile));
    fmt::print("fargateprofile.farlet.dev/{} {}\n", profile.meta.name, done);
    if (const auto ignored = profile.WithoutEffect(); !ignored.empty()) {
      fmt::print(stderr, "farlet: profile {}: without effect: {}\n", profile.meta.name,
                 fmt::join(ignored, ", "));
    }
  }
  return {};
}

Result<std::vector<Json>> ReadProfiles(const ProfileCommand& command) {
  FARLET_ASSIGN(const auto cluster, Cluster::Connect(command.kubeconfig));
  FARLET_ASSIGN(Json answer, cluster->Get(command.name));
  if (!command.name.empty()) {
    return std::vector<Json>{std::move(answer)};
  }
  return answer.value("items", std::vector<Json>());
}

std::string LabelsText(const kube::StringMap& labels) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : labels) {
    pairs.push_back(fmt::format("{}={}", key, value));
  }
  return pairs.empty() ? "<none>" : fmt::format("{}", fmt::join(pairs, ","));
}

std::string OrNone(std::string text) {
  return text.empty() ? "<none>" : std::move(text);
}

using Row = std::array<std::string, 7>;

// One row a selector, with eksctl's columns.
std::vector<Row> RowsOf(const Profile& profile, const std::string& status) {
  std::vector<Row> rows;
  for (const fargate::Selector& selector : profile.selectors) {
    rows.push_back({profile.meta.name, selector.object_namespace, LabelsText(selector.labels),
                    OrNone(profile.pod_execution_role_arn),
                    OrNone(fmt::format("{}", fmt::join(profile.subnets, ","))),
                    LabelsText(profile.tags), OrNone(status)});
  }
  return rows;
}

void PrintTable(const std::vector<Row>& rows) {
  std::array<size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += i + 1 < row.size() ? fmt::format("{:<{}}  ", row[i], widths[i]) : row[i];
    }
    fmt::print("{}\n", line);
  }
}

Status GetProfiles(const ProfileCommand& command) {
  FARLET_ASSIGN(const std::vector<Json> objects, ReadProfiles(command));
  if (command.output == "json") {
    Json list = Json::array();
    for (const Json& object : objects) {
      Json item = object.value("spec", Json::object());
      item["name"] = object["metadata"]["name"];
      item["status"] = object.value(Json::json_pointer("/status/status"), "");
      list.push_back(std::move(item));
    }
    fmt::print("{}\n", list.dump(2));
    return {};
  }
  std::vector<Row> rows{{"NAME", "SELECTOR_NAMESPACE", "SELECTOR_LABELS", "POD_EXECUTION_ROLE_ARN",
                         "SUBNETS", "TAGS", "STATUS"}};
  for (const Json& object : objects) {
    FARLET_ASSIGN(const Profile profile, Profile::FromJson(object));
    for (Row& row : RowsOf(profile, object.value(Json::json_pointer("/status/status"), ""))) {
      rows.push_back(std::move(row));
    }
  }
  PrintTable(rows);
  return {};
}

Status DeleteProfile(const ProfileCommand& command) {
  FARLET_ASSIGN(const auto cluster, Cluster::Connect(command.kubeconfig));
  const auto answer = cluster->Delete(command.name);
  if (!answer && !(answer.error().code == Code::kNotFound && command.ignore_not_found)) {
    return answer.error();
  }
  if (answer) {
    fmt::print("fargateprofile.farlet.dev/{} deleted\n", command.name);
  }
  return {};
}

Result<fargate::ProfileSet> ProfilesToExplain(const ProfileCommand& command) {
  std::vector<ProfilePtr> profiles;
  if (!command.profiles.empty()) {
    FARLET_ASSIGN(std::vector<Profile> read, fargate::LoadProfiles(command.profiles));
    for (Profile& profile : read) {
      profiles.push_back(std::make_shared<const Profile>(std::move(profile)));
    }
    return fargate::ProfileSet(std::move(profiles));
  }
  ProfileCommand all = command;
  all.name.clear();
  FARLET_ASSIGN(const std::vector<Json> objects, ReadProfiles(all));
  for (const Json& object : objects) {
    FARLET_ASSIGN(Profile profile, Profile::FromJson(object));
    profiles.push_back(std::make_shared<const Profile>(std::move(profile)));
  }
  return fargate::ProfileSet(std::move(profiles));
}

// True when nothing is refused.
Result<bool> ExplainPods(const ProfileCommand& command) {
  const std::string file = command.file.string();
  FARLET_ASSIGN(const std::string text, ReadFile(command.file, kMaxFile));
  FARLET_ASSIGN(const auto documents, Annotate(fargate::YamlDocument::ParseAll(text), file));
  FARLET_ASSIGN(const fargate::ProfileSet profiles, ProfilesToExplain(command));
  const fargate::AdmissionOptions options{.names = fargate::Names(command.prefix)};
  bool good = true;
  for (const fargate::YamlDocument& document : documents) {
    const auto explained =
        fargate::Explain(document.json(), command.object_namespace, profiles, options);
    if (!explained) {
      const std::string& problem = explained.error().message;
      return InvalidArgument(fmt::format("{}: line {}: {}", file,
                                         document.LineOf(problem.substr(0, problem.find(": "))),
                                         problem));
    }
    fmt::print("{}", explained->text);
    good = good && explained->outcome != fargate::Decision::Kind::kRefused;
  }
  return good;
}

int Finish(const Status& status) {
  if (status) {
    return 0;
  }
  fmt::print(stderr, "farlet: {}\n", status.error().message);
  return kError;
}

}  // namespace

int RunProfileCommand(const ProfileCommand& command) {
  log::SetLevel(log::Level::kWarning);
  switch (command.verb) {
    case ProfileCommand::Verb::kApply:
      return Finish(Apply(command));
    case ProfileCommand::Verb::kGet:
      return Finish(GetProfiles(command));
    case ProfileCommand::Verb::kDelete:
      return Finish(DeleteProfile(command));
    case ProfileCommand::Verb::kExplain: {
      const Result<bool> good = ExplainPods(command);
      if (!good) {
        return Finish(good.error());
      }
      return *good ? 0 : kRefused;
    }
    case ProfileCommand::Verb::kNone:
      break;
  }
  return kError;
}

}  // namespace farlet::app
