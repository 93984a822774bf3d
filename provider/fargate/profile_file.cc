#include "provider/fargate/profile_file.h"

#include "kube/api/field_reader.h"
#include "provider/fargate/profile_fields.h"
#include "provider/fargate/yaml_document.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/base/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace farlet::fargate {
namespace {

using kube::FieldReader;

constexpr std::string_view kEksctlApiVersion = "eksctl.io/v1alpha5";
constexpr std::string_view kEksctlKind = "ClusterConfig";
constexpr size_t kMaxFile = size_t{1} << 20;
constexpr seconds kLookInterval{1};

// Whether `object` says that it is of this kind.
bool IsKind(const nlohmann::json& object, std::string_view api_version, std::string_view kind) {
  return object.is_object() && object.contains("apiVersion") && object.contains("kind") &&
         object["apiVersion"] == api_version && object["kind"] == kind;
}

// eksctl refuses fields that it does not know; a misspelt one would be lost without a word.
template <size_t N>
void RefuseOthers(const FieldReader& in, const std::array<std::string_view, N>& known) {
  for (const std::string& key : in.Keys()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      in.Fail(key, "there is no such field");
    }
  }
}

// One entry of `fargateProfiles`.
Profile ReadEntry(const FieldReader& in) {
  RefuseOthers<7>(in, {"name", "podExecutionRoleARN", "podExecutionRoleArn", "selectors", "subnets",
                       "tags", "status"});
  in.List("selectors", [](const FieldReader& item) {
    RefuseOthers<2>(item, {"namespace", "labels"});
  });
  Profile profile;
  in.Read("name", profile.meta.name);
  ReadProfileFields(in, profile);
  return profile;
}

// Reads one text; where something is wrong is told by the path of a field in a document.
class ProfileReader {
 public:
  ProfileReader(std::string_view name, const ProfileLimits& limits)
      : name_(name), limits_(limits) {}

  Result<std::vector<Profile>> Read(std::string_view text) && {
    auto documents = YamlDocument::ParseAll(text);
    if (!documents) {
      return Wrap(name_, documents.error());
    }
    for (const YamlDocument& document : *documents) {
      FARLET_TRY(ReadDocument(document));
    }
    return std::move(profiles_);
  }

 private:
  // `problem` begins with the path unless `path` is given.
  Error Problem(const YamlDocument& document, std::string problem, std::string_view path = {}) {
    const std::string_view field =
        path.empty() ? std::string_view(problem).substr(0, problem.find(": ")) : path;
    const int line = document.LineOf(field);
    return InvalidArgument(path.empty()
                               ? fmt::format("{}: line {}: {}", name_, line, problem)
                               : fmt::format("{}: line {}: {}: {}", name_, line, path, problem));
  }

  Status ReadDocument(const YamlDocument& document) {
    if (IsKind(document.json(), kEksctlApiVersion, kEksctlKind)) {
      return ReadClusterConfig(document);
    }
    if (IsKind(document.json(), kProfileApiVersion, kProfileKind)) {
      auto profile = Profile::FromJson(document.json());
      if (!profile) {
        return Problem(document, profile.error().message);
      }
      return Add(document, *std::move(profile), "metadata.name");
    }
    return InvalidArgument(fmt::format("{}: line {}: kind: must be {} ({}) or {} ({})", name_,
                                       document.LineOf("kind"), kEksctlKind, kEksctlApiVersion,
                                       kProfileKind, kProfileApiVersion));
  }

  Status ReadClusterConfig(const YamlDocument& document) {
    kube::FieldErrors errors;
    const FieldReader root(document.json(), "", errors);
    std::vector<Profile> found;
    root.List("fargateProfiles",
              [&](const FieldReader& item) { found.push_back(ReadEntry(item)); });
    if (errors.first()) {
      return Problem(document, errors.first()->message);
    }
    for (size_t i = 0; i < found.size(); ++i) {
      FARLET_TRY(Add(document, std::move(found[i]), fmt::format("fargateProfiles[{}]", i)));
    }
    return {};
  }

  Status Add(const YamlDocument& document, Profile profile, std::string_view path) {
    if (const Status checked = CheckProfile(profile, limits_); !checked) {
      return Problem(document, checked.error().message, path);
    }
    if (!names_.insert(profile.meta.name).second) {
      return Problem(
          document,
          fmt::format("invalid Fargate profile \"{}\": name is there twice", profile.meta.name),
          path);
    }
    profiles_.push_back(std::move(profile));
    return {};
  }

  const std::string_view name_;
  const ProfileLimits limits_;
  std::vector<Profile> profiles_;
  std::set<std::string> names_;
};

}  // namespace

Result<std::vector<Profile>> ParseProfiles(std::string_view text,
                                           std::string_view name,
                                           const ProfileLimits& limits) {
  auto profiles = ProfileReader(name, limits).Read(text);
  if (!profiles) {
    profiles.error().message = OneLine(std::move(profiles.error().message));  // keys are anything
  }
  return profiles;
}

Result<std::vector<Profile>> LoadProfiles(const std::filesystem::path& file,
                                          const ProfileLimits& limits) {
  FARLET_ASSIGN(const std::string text, ReadFile(file, kMaxFile));
  return ParseProfiles(text, file.string(), limits);
}

Result<std::unique_ptr<FollowedProfiles>> FollowedProfiles::Open(std::filesystem::path file,
                                                                 const Clock& clock) {
  std::unique_ptr<FollowedProfiles> followed(new FollowedProfiles(std::move(file), clock));
  FARLET_TRY(followed->Load());
  return followed;
}

std::shared_ptr<const ProfileSet> FollowedProfiles::Current() {
  const std::lock_guard lock(mutex_);
  if (clock_.Now() - looked_at_ >= kLookInterval) {
    if (const Status loaded = Load(); !loaded) {
      log::Warning("the Fargate profiles stay as they were", {{"error", loaded.error()}});
    }
  }
  return profiles_;
}

Status FollowedProfiles::Load() {
  looked_at_ = clock_.Now();
  FARLET_ASSIGN(std::string text, ReadFile(file_, kMaxFile));
  if (text == text_) {
    return {};
  }
  text_ = std::move(text);  // also what is refused, so that it is said once
  FARLET_ASSIGN(std::vector<Profile> read, ParseProfiles(text_, file_.string()));
  std::vector<ProfilePtr> profiles;
  for (Profile& profile : read) {
    profiles.push_back(std::make_shared<const Profile>(std::move(profile)));
  }
  profiles_ = std::make_shared<const ProfileSet>(std::move(profiles));
  return {};
}

}  // namespace farlet::fargate
