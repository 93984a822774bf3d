#pragma once

#include "runtime/shim/spec/container_spec.h"

#include <string>

namespace farlet::shim {

// A plan as lines of text, for golden files: what is empty is left out.
std::string Describe(const ContainerPlan& plan);

}  // namespace farlet::shim
