#pragma once

#include "runtime/base/error.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

// Structured logging: a constant message and key/value pairs. Thread safe. Values never hold
// secrets. spdlog stays behind log.cc.
namespace farlet::log {

enum class Level { kDebug, kInfo, kWarning, kError };

struct Field {
  Field(std::string_view field_key, std::string_view field_value)
      : key(field_key), value(field_value) {}

  Field(std::string_view field_key, const char* field_value) : key(field_key), value(field_value) {}

  Field(std::string_view field_key, const std::string& field_value)
      : key(field_key), value(field_value) {}

  Field(std::string_view field_key, const Error& error) : key(field_key), value(error.message) {}

  template <class Number>

  requires std::is_arithmetic_v<Number> Field(std::string_view field_key, Number number)
      : key(field_key), value(std::to_string(number)) {}

  std::string_view key;
  std::string value;
};

using Fields = std::initializer_list<Field>;

void SetLevel(Level level);
// "debug", "info", "warning" or "error"; false for anything else.
bool SetLevel(std::string_view name);

void Write(Level level, std::string_view message, Fields fields);

// " key=value" for each, as logfmt: for implementations of Write().
void AppendFields(std::string& line, Fields fields);

inline void Debug(std::string_view message, Fields fields = {}) {
  Write(Level::kDebug, message, fields);
}

inline void Info(std::string_view message, Fields fields = {}) {
  Write(Level::kInfo, message, fields);
}

inline void Warning(std::string_view message, Fields fields = {}) {
  Write(Level::kWarning, message, fields);
}

inline void Error(std::string_view message, Fields fields = {}) {
  Write(Level::kError, message, fields);
}

}  // namespace farlet::log
