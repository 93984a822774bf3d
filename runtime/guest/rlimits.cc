#include "runtime/guest/rlimits.h"

#include "proto/guest/v1/guest.pb.h"

#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace farlet::guest {
namespace {

constexpr std::array<std::pair<std::string_view, int>, 16> kNames = {{
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
}};

}  // namespace

Result<std::vector<ResourceLimit>> ParseRlimits(
    const google::protobuf::RepeatedPtrField<v1::Rlimit>& limits) {
  std::vector<ResourceLimit> parsed;
  for (const v1::Rlimit& limit : limits) {
    size_t index = 0;
    while (index < kNames.size() && kNames[index].first != limit.type()) {
      ++index;
    }
    if (index == kNames.size()) {
      return InvalidArgument("unknown rlimit \"" + limit.type().substr(0, 64) + "\"");
    }
    if (limit.soft() > limit.hard()) {
      return InvalidArgument(limit.type() + ": the soft limit is above the hard one");
    }
    parsed.push_back({kNames[index].second, {limit.soft(), limit.hard()}});
  }
  return parsed;
}

Status SetRlimits(const std::vector<ResourceLimit>& limits) {
  for (const ResourceLimit& limit : limits) {
    if (::setrlimit64(static_cast<__rlimit_resource>(limit.resource), &limit.limit) != 0) {
      return ErrnoError(errno, "set rlimit " + std::to_string(limit.resource));
    }
  }
  return {};
}

}  // namespace farlet::guest
