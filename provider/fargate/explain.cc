#include "provider/fargate/explain.h"

#include "kube/api/field_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace farlet::fargate {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 6> kWithTemplate{
    "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"};

struct PodOf {
  std::string what;  // "Deployment dev/web"
  std::string object_namespace;
  Json pod;
};

Result<PodOf> FindPod(const Json& manifest, std::string_view object_namespace) {
  kube::FieldErrors errors;
  const kube::FieldReader root(manifest, "", errors);
  PodOf found{.object_namespace = std::string(object_namespace)};
  std::string kind;
  std::string name;
  root.Read("kind", kind);
  const kube::FieldReader metadata = root.Object("metadata");
  metadata.Read("generateName", name);
  metadata.Read("name", name);
  metadata.Read("namespace", found.object_namespace);
  if (errors.first()) {
    return *errors.first();
  }
  Json::json_pointer at;
  if (kind == "CronJob") {
    at = Json::json_pointer("/spec/jobTemplate/spec/template");
  } else if (std::find(kWithTemplate.begin(), kWithTemplate.end(), kind) != kWithTemplate.end()) {
    at = Json::json_pointer("/spec/template");
  } else if (kind != "Pod") {
    return InvalidArgument(fmt::format("kind: \"{}\" has no pods (Pod, CronJob, {})",
                                       kind.substr(0, 64), fmt::join(kWithTemplate, ", ")));
  }
  if (!manifest.contains(at)) {
    return InvalidArgument(fmt::format("{}: is missing", at.to_string()));
  }
  found.pod = manifest[at];
  if (kind == "DaemonSet" && found.pod.is_object() &&
      (!found.pod.contains("metadata") || found.pod["metadata"].is_object())) {
    found.pod["metadata"]["ownerReferences"] = {{{"kind", kind}, {"controller", true}}};
  }
  found.what = fmt::format("{} {}/{}", kind, found.object_namespace, name);
  return found;
}

std::string SelectorText(const Selector& selector) {
  std::vector<std::string> labels;
  for (const auto& [key, value] : selector.labels) {
    labels.push_back(fmt::format("{}={}", key, value));
  }
  return labels.empty() ? fmt::format("namespace {}", selector.object_namespace)
                        : fmt::format("namespace {}, labels {}", selector.object_namespace,
                                      fmt::join(labels, ","));
}

std::string ProfileLines(const Profile& profile, const PodFacts& pod) {
  std::string text = fmt::format("  profile {}\n", profile.meta.name);
  for (size_t i = 0; i < profile.selectors.size(); ++i) {
    const Selector& selector = profile.selectors[i];
    const std::string mismatch = Mismatch(selector, pod.object_namespace, pod.labels);
    text += fmt::format("    selector #{} ({}): {}\n", i, SelectorText(selector),
                        mismatch.empty() ? "matches" : mismatch);
  }
  return text;
}

std::string SizeLines(const PodFacts& pod, const PodSize& size) {
  const Need need = ComputeNeed(pod);
  return fmt::format(
      "  size: {} for {} mCPU and {} MiB and {} MiB of overhead; machine {} mCPU, {} MiB; "
      "ephemeral "
      "storage {} GiB\n",
      CapacityText(size.provisioned), need.cpu.value, (need.memory.value + kMi - 1) / kMi,
      kOverhead.value / kMi, size.machine.cpu.value, size.machine.memory.value / kMi,
      size.storage.value / kGi);
}

}  // namespace

Result<Explanation> Explain(const Json& manifest,
                            std::string_view object_namespace,
                            const ProfileSet& profiles,
                            const AdmissionOptions& options) {
  FARLET_ASSIGN(const PodOf found, FindPod(manifest, object_namespace));
  FARLET_ASSIGN(const PodFacts pod, PodFacts::FromJson(found.pod, found.object_namespace));
  FARLET_ASSIGN(const Decision decision,
                Decide(found.pod, found.object_namespace, profiles, options));
  Explanation explanation{.outcome = decision.kind};
  std::string& text = explanation.text;
  switch (decision.kind) {
    case Decision::Kind::kAdmitted:
      text = fmt::format("{}: runs on Fargate, profile \"{}\"\n", found.what, decision.profile);
      break;
    case Decision::Kind::kRefused:
      text = fmt::format("{}: is refused, profile \"{}\"\n  {}\n", found.what, decision.profile,
                         decision.message);
      break;
    case Decision::Kind::kUntouched:
      text = fmt::format("{}: does not run on Fargate: {}\n", found.what,
                         FindProfile(pod, profiles, options.names).reason);
      break;
  }
  for (const std::string& warning : decision.warnings) {
    text += fmt::format("  warning: {}\n", warning);
  }
  if (decision.size) {
    text += SizeLines(pod, *decision.size);
  }
  for (const ProfilePtr& profile : profiles.all()) {
    text += ProfileLines(*profile, pod);
  }
  return explanation;
}

}  // namespace farlet::fargate
