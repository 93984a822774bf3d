// What all implementations of log.h share.
#include "runtime/base/log.h"

namespace farlet::log {
namespace {

// logfmt: quoted where a reader could not tell where the value ends.
void AppendValue(std::string& line, std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"=\n\r\t") == std::string_view::npos;
  if (plain) {
    line += value;
    return;
  }
  line += '"';
  for (const char letter : value) {
    if (letter == '"' || letter == '\\') {
      line += '\\';
    }
    if (letter == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(letter) >= 0x20) {
      line += letter;
    }
  }
  line += '"';
}

}  // namespace

bool SetLevel(std::string_view name) {
  for (const auto& [text, level] : {std::pair{"debug", Level::kDebug},
                                    {"info", Level::kInfo},
                                    {"warning", Level::kWarning},
                                    {"error", Level::kError}}) {
    if (name == text) {
      SetLevel(level);
      return true;
    }
  }
  return false;
}

void AppendFields(std::string& line, Fields fields) {
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    AppendValue(line, field.value);
  }
}

}  // namespace farlet::log
