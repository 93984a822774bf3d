#include "provider/fargate/routing.h"

#include "kube/api/field_reader.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace farlet::fargate {
namespace {

using kube::FieldReader;

// These make a deleted pod anew, and count nothing.
constexpr std::array<std::string_view, 3> kRecreating{"ReplicaSet", "StatefulSet",
                                                      "ReplicationController"};

struct Waiting {
  bool deleted = false;
  bool routed = false;         // it has been through admission
  bool unschedulable = false;  // the scheduler has tried, or nobody will
  std::string scheduler;
  std::string owner_kind;
  std::string owner_uid;
};

void ReadOwner(const FieldReader& metadata, Waiting& waiting) {
  metadata.List("ownerReferences", [&](const FieldReader& item) {
    bool controller = false;
    item.Read("controller", controller);
    if (controller) {
      item.Read("kind", waiting.owner_kind);
      item.Read("uid", waiting.owner_uid);
    }
  });
}

void ReadScheduled(const FieldReader& status, Waiting& waiting) {
  status.List("conditions", [&](const FieldReader& item) {
    std::string type;
    std::string value;
    std::string reason;
    item.Read("type", type);
    item.Read("status", value);
    item.Read("reason", reason);
    waiting.unschedulable = waiting.unschedulable || (type == "PodScheduled" && value == "False" &&
                                                      reason == "Unschedulable");
  });
}

// Nothing: it cannot be read, or waits for nothing.
Waiting ReadWaiting(const nlohmann::json& pod, const Names& names) {
  kube::FieldErrors errors;
  Waiting waiting;
  const FieldReader root(pod, "", errors);
  const FieldReader metadata = root.Object("metadata");
  waiting.deleted = metadata.Has("deletionTimestamp");
  waiting.routed = metadata.Object("annotations").Has(kCapacityAnnotation) &&
                   metadata.Object("labels").Has(names.profile_label);
  ReadOwner(metadata, waiting);
  ReadScheduled(root.Object("status"), waiting);
  root.Object("spec").Read("schedulerName", waiting.scheduler);
  waiting.unschedulable = waiting.unschedulable || waiting.scheduler == kAwsScheduler;
  return waiting;
}

RoutePlan PlanAdmitted(const Waiting& waiting, const std::string& profile) {
  const bool recreating =
      std::find(kRecreating.begin(), kRecreating.end(), waiting.owner_kind) != kRecreating.end();
  if (recreating && !waiting.owner_uid.empty()) {
    return {
        .kind = RoutePlan::Kind::kRecreate,
        .profile = profile,
        .owner = waiting.owner_uid,
        .message = fmt::format(
            "Fargate profile \"{}\" matches this pod now: it is deleted so that its {} makes it "
            "anew on Fargate",
            profile, waiting.owner_kind)};
  }
  const std::string owner =
      waiting.owner_kind.empty() ? "it has no controller that would make it anew"
      : waiting.owner_kind == "Job"
          ? "its Job would count a deleted pod as a failed one"
          : fmt::format("what its {} does about a deleted pod is not known", waiting.owner_kind);
  return {.kind = RoutePlan::Kind::kTell,
          .message = fmt::format("Fargate profile \"{}\" matches this pod now, but was not there "
                                 "when it was created: delete and create it again to run it on "
                                 "Fargate ({})",
                                 profile, owner)};
}

}  // namespace

RoutePlan PlanRoute(const nlohmann::json& pod,
                    const ProfileSet& profiles,
                    const AdmissionOptions& options) {
  const Waiting waiting = ReadWaiting(pod, options.names);
  if (waiting.deleted || waiting.routed || !waiting.unschedulable) {
    return {};
  }
  const Result<Decision> decision = Decide(pod, {}, profiles, options);
  if (!decision) {
    return {};
  }
  switch (decision->kind) {
    case Decision::Kind::kAdmitted:
      return PlanAdmitted(waiting, decision->profile);
    case Decision::Kind::kRefused:
      return {.kind = RoutePlan::Kind::kTell, .message = decision->message};
    case Decision::Kind::kUntouched:
      break;
  }
  if (decision->warnings.empty()) {
    return {};
  }
  return {.kind = RoutePlan::Kind::kTell, .message = decision->warnings.front()};
}

}  // namespace farlet::fargate
