#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

namespace farlet {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// Both ends block and are closed in a program that is executed.
Result<Pipe> MakePipe();

}  // namespace farlet
