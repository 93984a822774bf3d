#include "provider/fargate/match.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace farlet::fargate {
namespace {

bool HasLabel(const kube::StringMap& labels, std::string_view key, std::string_view value) {
  return std::any_of(labels.begin(), labels.end(), [&](const auto& label) {
    return WildcardMatch(key, label.first) && WildcardMatch(value, label.second);
  });
}

// Mismatch() without the words, which a cluster with many profiles would pay for with every pod.
bool Matches(const Selector& selector, const PodFacts& pod) {
  return WildcardMatch(selector.object_namespace, pod.object_namespace) &&
         std::all_of(selector.labels.begin(), selector.labels.end(), [&](const auto& label) {
           return HasLabel(pod.labels, label.first, label.second);
         });
}

bool MatchesPod(const Profile& profile, const PodFacts& pod) {
  return std::any_of(profile.selectors.begin(), profile.selectors.end(),
                     [&](const Selector& one) { return Matches(one, pod); });
}

std::string WhyNotForFargate(const PodFacts& pod) {
  if (pod.daemon_set) {
    return "it belongs to a DaemonSet";
  }
  if (pod.mirror) {
    return "it stands for a static pod of a kubelet";
  }
  if (!pod.node_name.empty()) {
    return fmt::format("it is bound to node \"{}\" already", pod.node_name);
  }
  return {};
}

Match ForcedProfile(const PodFacts& pod,
                    const std::string& name,
                    const ProfileSet& profiles,
                    const Names& names) {
  ProfilePtr profile = profiles.Find(name);
  if (profile != nullptr && MatchesPod(*profile, pod)) {
    return {.outcome = Match::Outcome::kProfile, .profile = std::move(profile)};
  }
  return {.outcome = Match::Outcome::kWrongProfile,
          .reason = fmt::format(
              "its label {} asks for profile \"{}\", which {}", names.profile_label, name,
              profile == nullptr ? "does not exist" : "has no selector that matches it")};
}

}  // namespace

bool WildcardMatch(std::string_view pattern, std::string_view text) {
  // Where to go on after a mismatch: the last "*" may take one more character.
  size_t star = std::string_view::npos;
  size_t star_text = 0;
  size_t p = 0;
  size_t t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::string Mismatch(const Selector& selector,
                     std::string_view object_namespace,
                     const kube::StringMap& labels) {
  if (!WildcardMatch(selector.object_namespace, object_namespace)) {
    return fmt::format("namespace \"{}\" is not \"{}\"", object_namespace,
                       selector.object_namespace);
  }
  for (const auto& [key, value] : selector.labels) {
    if (!HasLabel(labels, key, value)) {
      return fmt::format("no label {}={}", key, value);
    }
  }
  return {};
}

ProfileSet::ProfileSet(std::vector<ProfilePtr> profiles) : profiles_(std::move(profiles)) {
  std::sort(profiles_.begin(), profiles_.end(),
            [](const ProfilePtr& a, const ProfilePtr& b) { return a->meta.name < b->meta.name; });
}

ProfilePtr ProfileSet::Find(std::string_view name) const {
  const auto found = std::find_if(profiles_.begin(), profiles_.end(),
                                  [&](const ProfilePtr& one) { return one->meta.name == name; });
  return found == profiles_.end() ? nullptr : *found;
}

Match FindProfile(const PodFacts& pod, const ProfileSet& profiles, const Names& names) {
  if (std::string why = WhyNotForFargate(pod); !why.empty()) {
    return {.outcome = Match::Outcome::kNotForFargate, .reason = std::move(why)};
  }
  const auto opted = pod.annotations.find(names.compute_type);
  if (opted != pod.annotations.end() && opted->second == kEc2) {
    return {.outcome = Match::Outcome::kOptedOut,
            .reason = fmt::format("its annotation {} is {}", names.compute_type, kEc2)};
  }
  const auto forced = pod.labels.find(names.profile_label);
  if (forced != pod.labels.end()) {
    return ForcedProfile(pod, forced->second, profiles, names);
  }
  for (const ProfilePtr& profile : profiles.all()) {
    if (MatchesPod(*profile, pod)) {
      return {.outcome = Match::Outcome::kProfile, .profile = profile};
    }
  }
  return {.outcome = Match::Outcome::kNoProfile,
          .reason = "no selector of a Fargate profile matches it"};
}

}  // namespace farlet::fargate
