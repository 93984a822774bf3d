#pragma once

#include <string_view>

namespace farlet::shim {

// The rehearsal's program (performer.cc), a static executable, as it lies in this one.
std::string_view RehearsalProgram();

}  // namespace farlet::shim
