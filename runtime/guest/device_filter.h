#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/cgroup.h"

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace farlet::guest {

namespace v1 {
class DeviceRule;
}

// Which device files the processes of a cgroup may make and open: an eBPF program attached to it.
// The last rule that matches decides, without one access is refused; no rules, no program. What
// every container has (null, zero, …, terminals) is always allowed. Errors: kInvalidArgument for a
// bad rule.
Status FilterDevices(const Cgroup& cgroup,
                     const google::protobuf::RepeatedPtrField<v1::DeviceRule>& rules);

}  // namespace farlet::guest
