#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/spec/cursor.h"

namespace farlet::shim {

// The OCI spec's process. What does not fit is refused at the cursor.
guest::v1::Process TranslateProcess(const Cursor& process);

}  // namespace farlet::shim
