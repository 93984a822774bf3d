#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/spec/cursor.h"

namespace farlet::shim {

// linux.seccomp. What does not fit is refused at the cursor.
guest::v1::Seccomp TranslateSeccomp(const Cursor& seccomp);

}  // namespace farlet::shim
