#include "runtime/cri/convert.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace farlet::cri {
namespace {

pb::NamespaceMode ToNamespaceMode(NamespaceMode from) {
  switch (from) {
    case NamespaceMode::kPod:
      return pb::POD;
    case NamespaceMode::kContainer:
      return pb::CONTAINER;
    case NamespaceMode::kNode:
      return pb::NODE;
  }
  return pb::POD;
}

}  // namespace

StringMap FromMap(const google::protobuf::Map<std::string, std::string>& map) {
  return {map.begin(), map.end()};
}

void ToMap(const StringMap& from, google::protobuf::Map<std::string, std::string>* to) {
  for (const auto& [key, value] : from) {
    (*to)[key] = value;
  }
}

void ToNamespaceOptions(const NamespaceOptions& from, pb::NamespaceOption* to) {
  to->set_network(ToNamespaceMode(from.network));
  to->set_pid(ToNamespaceMode(from.pid));
  to->set_ipc(ToNamespaceMode(from.ipc));
}

void ToSecurityProfile(const SecurityProfile& from, pb::SecurityProfile* to) {
  // The numbers of Type are CRI's.
  to->set_profile_type(static_cast<pb::SecurityProfile::ProfileType>(from.type));
  to->set_localhost_ref(from.localhost_ref);
}

void ToResources(const LinuxResources& from, pb::LinuxContainerResources* to) {
  to->set_cpu_period(from.cpu_period);
  to->set_cpu_quota(from.cpu_quota);
  to->set_cpu_shares(from.cpu_shares);
  to->set_memory_limit_in_bytes(from.memory_limit_bytes);
  to->set_oom_score_adj(from.oom_score_adj);
  ToMap(from.unified, to->mutable_unified());
}

WallTime FromNanos(int64_t nanos) {
  return nanos <= 0 ? WallTime()
                    : WallTime(std::chrono::duration_cast<WallTime::duration>(
                          std::chrono::nanoseconds(nanos)));
}

Error MissingField(std::string_view call, std::string_view field) {
  return Internal(fmt::format("answer of {} lacks {}", call, field));
}

Result<std::string> RequireText(std::string text, std::string_view call, std::string_view field) {
  if (text.empty()) {
    return MissingField(call, field);
  }
  return text;
}

}  // namespace farlet::cri
