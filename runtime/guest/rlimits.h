#pragma once

#include "runtime/base/result.h"

#include <sys/resource.h>

#include <string_view>
#include <vector>

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace farlet::guest {

namespace v1 {
class Rlimit;
}

struct ResourceLimit {
  int resource = 0;
  rlimit64 limit{};
};

// Errors: kInvalidArgument naming a type that is unknown.
Result<std::vector<ResourceLimit>> ParseRlimits(
    const google::protobuf::RepeatedPtrField<v1::Rlimit>& limits);

Status SetRlimits(const std::vector<ResourceLimit>& limits);

}  // namespace farlet::guest
