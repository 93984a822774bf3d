#include "provider/fargate/admission.h"

#include "provider/fargate/pod_patch.h"
#include "provider/fargate/support.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::fargate {
namespace {

// Whether the pod can run on Fargate nodes only.
bool WantsFargate(const PodFacts& pod, const Names& names) {
  const auto selected = pod.node_selector.find(names.compute_type);
  return pod.scheduler_name == kAwsScheduler ||
         (selected != pod.node_selector.end() && selected->second == kFargate);
}

Decision LeftAlone(const PodFacts& pod, const Match& match, const Names& names) {
  Decision decision;
  if (match.outcome == Match::Outcome::kWrongProfile ||
      (match.outcome != Match::Outcome::kNotForFargate && WantsFargate(pod, names))) {
    decision.warnings.push_back(
        fmt::format("this pod does not run on Fargate: {}{}", match.reason,
                    WantsFargate(pod, names)
                        ? fmt::format("; it stays Pending until a FargateProfile selects it "
                                      "(namespace \"{}\")",
                                      pod.object_namespace)
                        : std::string()));
  }
  return decision;
}

void NoteReplaced(const PodFacts& pod, const Names& names, Decision& decision) {
  const auto selected = pod.node_selector.find(names.compute_type);
  if (selected != pod.node_selector.end() && selected->second != kFargate) {
    decision.warnings.push_back(fmt::format(
        "Fargate profile \"{}\" matches this pod: node selector {}={} becomes {} (annotation {}: "
        "{} keeps a pod off Fargate)",
        decision.profile, names.compute_type, selected->second, kFargate, names.compute_type,
        kEc2));
  }
}

}  // namespace

Result<Decision> Decide(const nlohmann::json& pod,
                        std::string_view object_namespace,
                        const ProfileSet& profiles,
                        const AdmissionOptions& options) {
  FARLET_ASSIGN(const PodFacts facts, PodFacts::FromJson(pod, object_namespace));
  const Match match = FindProfile(facts, profiles, options.names);
  if (match.outcome != Match::Outcome::kProfile) {
    return LeftAlone(facts, match, options.names);
  }
  const Profile& profile = *match.profile;
  const bool enforce = profile.validation.value_or(options.validation) == Validation::kEnforce;
  Decision decision{.kind = Decision::Kind::kRefused, .profile = profile.meta.name};
  std::string unsupported = UnsupportedMessage(facts, profile.allow, options.runtime_class);
  const Result<PodSize> size = SizePod(facts);
  if (!size) {
    decision.message = unsupported.empty()
                           ? size.error().message
                           : fmt::format("{}; {}", unsupported, size.error().message);
    return decision;
  }
  if (!unsupported.empty() && enforce) {
    decision.message = std::move(unsupported);
    return decision;
  }
  if (!unsupported.empty()) {
    decision.warnings.push_back(std::move(unsupported));
  }
  NoteReplaced(facts, options.names, decision);
  decision.kind = Decision::Kind::kAdmitted;
  decision.size = *size;
  decision.patch = MakePodPatch(pod, profile.meta.name, size->provisioned, options);
  return decision;
}

std::string RefusalOfBound(const nlohmann::json& pod,
                           std::string_view object_namespace,
                           const ProfileSet& profiles,
                           const AdmissionOptions& options) {
  auto facts = PodFacts::FromJson(pod, object_namespace);
  if (!facts) {
    return facts.error().message;
  }
  facts->node_name.clear();  // that it is bound is no reason to leave it alone
  const Match match = FindProfile(*facts, profiles, options.names);
  if (match.outcome != Match::Outcome::kProfile ||
      match.profile->validation.value_or(options.validation) == Validation::kWarn) {
    return {};
  }
  return UnsupportedMessage(*facts, match.profile->allow, options.runtime_class);
}

}  // namespace farlet::fargate
