#include "runtime/vm/qmp_message.h"

#include "runtime/base/json_text.h"

#include <fmt/format.h>

namespace farlet::vm {
namespace {

using nlohmann::json;

Error Malformed(std::string_view line) {
  return MakeError(
      Code::kDataLoss,
      fmt::format("QMP: not a message: {}",
                  json(line.substr(0, 120)).dump(-1, ' ', true, json::error_handler_t::replace)));
}

std::string TextAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const json* ObjectAt(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? &*found : nullptr;
}

uint64_t NumberAt(const json* object, const char* key) {
  if (object == nullptr) {
    return 0;
  }
  const auto found = object->find(key);
  return found != object->end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

QmpGreeting ParseGreeting(const json& greeting) {
  const json* version = ObjectAt(greeting, "version");
  const json* numbers = version != nullptr ? ObjectAt(*version, "qemu") : nullptr;
  return {fmt::format("{}.{}.{}", NumberAt(numbers, "major"), NumberAt(numbers, "minor"),
                      NumberAt(numbers, "micro"))};
}

}  // namespace

Result<QmpMessage> ParseQmpLine(std::string_view line) {
  json message = json::parse(line, nullptr, false);
  if (!message.is_object()) {
    return Malformed(line);
  }
  if (const json* greeting = ObjectAt(message, "QMP")) {
    return QmpMessage(ParseGreeting(*greeting));
  }
  if (const std::string event = TextAt(message, "event"); !event.empty()) {
    const json* data = ObjectAt(message, "data");
    return QmpMessage(QmpEvent{event, data != nullptr ? *data : json::object()});
  }
  const uint64_t id = NumberAt(&message, "id");
  if (const json* error = ObjectAt(message, "error")) {
    return QmpMessage(QmpReply{
        id, Internal(fmt::format("{}: {}", TextAt(*error, "class"), TextAt(*error, "desc")))});
  }
  const auto result = message.find("return");
  if (result == message.end()) {
    return Malformed(line);
  }
  return QmpMessage(QmpReply{id, std::move(*result)});
}

std::string QmpCommandLine(std::string_view command, const json& arguments, uint64_t id) {
  json message = {{"execute", command}, {"id", id}};
  if (!arguments.is_null()) {
    message["arguments"] = arguments;
  }
  return JsonText(message) + "\n";
}

}  // namespace farlet::vm
