#include "kube/client/watch_decoder.h"

#include "kube/client/http_status.h"

#include <utility>

namespace farlet::kube {
namespace {

Result<Json> Decode(std::string_view line, std::string_view what) {
  Json event = Json::parse(line, nullptr, false);
  const auto type = event.is_object() ? event.find("type") : event.end();
  const auto object = event.is_object() ? event.find("object") : event.end();
  if (type == event.end() || !type->is_string() || object == event.end() || !object->is_object()) {
    return Internal(std::string(what) + ": the server sent a line that is no watch event");
  }
  if (type->get_ref<const std::string&>() == "ERROR") {
    return ErrorFromStatus(what, *object);
  }
  return event;
}

}  // namespace

Status WatchDecoder::Feed(std::string_view data,
                          std::string_view what,
                          const std::function<bool(Json event)>& on_event) {
  while (!data.empty()) {
    const size_t end = data.find('\n');
    const std::string_view piece = data.substr(0, end);
    if (partial_.size() + piece.size() > max_event_) {
      Error error =
          MakeError(Code::kResourceExhausted, std::string(what) + ": an event longer than " +
                                                  std::to_string(max_event_) + " bytes");
      error.retryable = false;
      return error;
    }
    if (end == std::string_view::npos) {
      partial_.append(piece);
      return {};
    }
    data.remove_prefix(end + 1);
    const std::string line = std::exchange(partial_, {}).append(piece);
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    FARLET_ASSIGN(Json event, Decode(line, what));
    if (!on_event(std::move(event))) {
      return {};
    }
  }
  return {};
}

}  // namespace farlet::kube
