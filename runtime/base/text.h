#pragma once

#include <string>

namespace farlet {

// For messages that must stay one line: control characters become spaces, and those at the end go.
std::string OneLine(std::string text);

}  // namespace farlet
