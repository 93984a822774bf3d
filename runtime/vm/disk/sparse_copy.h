#pragma once

#include "runtime/base/result.h"

namespace farlet::disk {

// Makes the empty file `to` a copy of `from`, holes included: shares the blocks where the file
// system can (reflink).
Status SparseCopy(int from, int to);

}  // namespace farlet::disk
