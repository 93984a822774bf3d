#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

namespace farlet::vm {

// A tap device in a network namespace of its own that nothing else is in; both end with the
// descriptor. It is what a template's network card is connected with, since a card that was saved
// with a tap (and its offloads) can only be restored with one.
Result<UniqueFd> MakeNullTap();

}  // namespace farlet::vm
