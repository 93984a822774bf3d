#include "provider/pod/status_json.h"

#include <algorithm>

namespace farlet::pod {

const Json* Member(const Json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string TextOf(const Json& object, const char* key) {
  const Json* value = Member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

const Json* FindStatus(const Json& statuses, const std::string& name) {
  if (!statuses.is_array()) {
    return nullptr;
  }
  const auto found = std::find_if(statuses.begin(), statuses.end(), [&](const Json& status) {
    return TextOf(status, "name") == name;
  });
  return found == statuses.end() ? nullptr : &*found;
}

const Json* FindState(const Json* status, const char* which, const char* kind) {
  const Json* state = status == nullptr ? nullptr : Member(*status, which);
  return state == nullptr ? nullptr : Member(*state, kind);
}

int64_t ExitCodeOf(const Json& terminated) {
  const Json* code = Member(terminated, "exitCode");
  return code != nullptr && code->is_number_integer() ? code->get<int64_t>() : 0;
}

}  // namespace farlet::pod
