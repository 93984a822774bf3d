#pragma once

#include "runtime/base/result.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace farlet::vm {

// What QEMU says on its QMP socket, one JSON object a line
// (docs/interop/qmp-spec.txt of QEMU).
struct QmpGreeting {
  std::string version;  // "7.2.22"
};

struct QmpReply {
  uint64_t id = 0;
  Result<nlohmann::json> result;  // the error: kInternal, "GenericError: what QEMU said"
};

struct QmpEvent {
  std::string name;
  nlohmann::json data;  // an object, maybe empty
};

using QmpMessage = std::variant<QmpGreeting, QmpReply, QmpEvent>;

// kDataLoss for anything that is none of these.
Result<QmpMessage> ParseQmpLine(std::string_view line);

// One command as a line, newline included.
std::string QmpCommandLine(std::string_view command, const nlohmann::json& arguments, uint64_t id);

}  // namespace farlet::vm
