#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

namespace farlet::shim {

// What no two machines may have in common though they come from one template: randomness and the
// machine's id; and the time.
Status MakeUnique(guest::v1::PrepareRequest& identity, const Clock& clock);

}  // namespace farlet::shim
