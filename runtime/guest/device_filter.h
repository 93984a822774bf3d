#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/cgroup.h"

#include <string>

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace farlet::guest {

namespace v1 {
class DeviceRule;
}

// Which device files the processes of a cgroup may make and open: an eBPF program attached to it.
class DeviceFilters {
 public:
  // Loads the program of containers that have no device of their own, which are almost all: the
  // kernel takes its time to verify and translate one.
  Status Preload();

  // The last rule that matches decides, without one access is refused; no rules, no program. What
  // every container has (null, zero, …, terminals) is always allowed. Errors: kInvalidArgument for
  // a bad rule.
  Status Attach(const Cgroup& cgroup,
                const google::protobuf::RepeatedPtrField<v1::DeviceRule>& rules) const;

 private:
  std::string preloaded_;  // its instructions
  UniqueFd program_;
};

}  // namespace farlet::guest
