#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

// Reading of statuses as JSON: what is missing or of another type reads as empty.
namespace farlet::pod {

using Json = nlohmann::json;

// The status of container `name` in a list of statuses, or nullptr.
const Json* FindStatus(const Json& statuses, const std::string& name);
// state.terminated and the like; nullptr when `status` is null or has no such object.
const Json* FindState(const Json* status, const char* which, const char* kind);
// A text of an object, "" when missing or not a text.
std::string TextOf(const Json& object, const char* key);
// `object[key]` when it is there and not null.
const Json* Member(const Json& object, const char* key);
int64_t ExitCodeOf(const Json& terminated);

}  // namespace farlet::pod
