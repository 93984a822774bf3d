// Whatever text stands in a file of profiles, it is read whole or refused with one line that names
// the file and the line in it, and what was read can be sent to an API server and is read alike
// there. The same text as a manifest that somebody wants explained.

#include "provider/fargate/explain.h"
#include "provider/fargate/profile_file.h"
#include "provider/fargate/yaml_document.h"
#include "tests/fuzz/fuzz.h"

#include <nlohmann/json.hpp>

#include <cctype>
#include <set>
#include <string>
#include <string_view>

namespace farlet::fargate {
namespace {

constexpr std::string_view kName = "profiles.yaml";

void CheckProblem(const Error& error) {
  std::string_view text = error.message;
  const std::string head = std::string(kName) + ": line ";
  FUZZ_CHECK(text.find('\n') == std::string_view::npos);
  FUZZ_CHECK(text.starts_with(head));
  FUZZ_CHECK(std::isdigit(static_cast<unsigned char>(text[head.size()])) != 0);
}

void CheckProfiles(std::string_view text) {
  const auto profiles = ParseProfiles(text, kName);
  if (!profiles) {
    CheckProblem(profiles.error());
    return;
  }
  std::set<std::string> names;
  for (const Profile& profile : *profiles) {
    FUZZ_CHECK(names.insert(profile.meta.name).second);
    FUZZ_CHECK(CheckProfile(profile));
    const nlohmann::json object = ProfileToJson(profile);
    const auto again = Profile::FromJson(nlohmann::json::parse(object.dump()));
    FUZZ_CHECK(again);
    FUZZ_CHECK(ProfileToJson(*again) == object);
  }
}

void CheckExplanations(std::string_view text) {
  static const ProfileSet profiles({std::make_shared<const Profile>(
      Profile{.meta = {.name = "all"}, .selectors = {{.object_namespace = "*"}}})});
  const auto documents = YamlDocument::ParseAll(text);
  if (!documents) {
    return;
  }
  for (const YamlDocument& document : *documents) {
    const auto explanation = Explain(document.json(), "default", profiles, {});
    FUZZ_CHECK(explanation ? explanation->text.ends_with('\n')
                           : !explanation.error().message.empty());
  }
}

}  // namespace
}  // namespace farlet::fargate

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  farlet::fargate::CheckProfiles(text);
  farlet::fargate::CheckExplanations(text);
  return 0;
}
