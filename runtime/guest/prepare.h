#pragma once

#include "runtime/base/result.h"
#include "runtime/guest/layout.h"

#include <string>

namespace farlet::guest {

namespace v1 {
class PrepareRequest;
}

// Steps of Prepare. Each names in its error what it was about.

// Randomness, clock, hostname, machine id.
Status SetIdentity(const v1::PrepareRequest& request, const Layout& layout);

// Names with dots or slashes below /proc/sys.
Status SetSysctl(const std::string& name, const std::string& value);

}  // namespace farlet::guest
