#include "provider/app/fargate_gate.h"

#include "provider/fargate/support.h"

#include <nlohmann/json.hpp>

namespace farlet::app {
namespace {

constexpr char kReason[] = "UnsupportedPodSpec";

}  // namespace

std::optional<pod::PodFailure> CheckFargate(const kube::Pod& pod,
                                            const fargate::ProfileSet& profiles,
                                            const fargate::AdmissionOptions& options) {
  auto facts = fargate::PodFacts::FromJson(*pod.raw, pod.meta.object_namespace);
  if (!facts) {
    return pod::PodFailure{.reason = kReason, .message = facts.error().message};
  }
  facts->node_name.clear();  // that it is here is no reason to leave it alone
  const fargate::Match match = fargate::FindProfile(*facts, profiles, options.names);
  if (match.outcome != fargate::Match::Outcome::kProfile) {
    return std::nullopt;
  }
  const auto validation = match.profile->validation.value_or(options.validation);
  std::string message =
      fargate::UnsupportedMessage(*facts, match.profile->allow, options.runtime_class);
  if (message.empty() || validation == fargate::Validation::kWarn) {
    return std::nullopt;
  }
  return pod::PodFailure{.reason = kReason, .message = std::move(message)};
}

}  // namespace farlet::app
