// runtime/base/log.h for the static agent: lines on the console, which the VM's owner may keep.
#include "runtime/base/log.h"

#include <unistd.h>

#include <atomic>

namespace farlet::log {
namespace {

std::atomic<Level> threshold{Level::kInfo};

// The kernel's numbers of severity, as /dev/kmsg wants them in front of a line.
const char* Prefix(Level level) {
  switch (level) {
    case Level::kDebug:
      return "<7>farlet-guest: ";
    case Level::kInfo:
      return "<6>farlet-guest: ";
    case Level::kWarning:
      return "<4>farlet-guest: ";
    case Level::kError:
      return "<3>farlet-guest: ";
  }
  return "";
}

}  // namespace

void SetLevel(Level level) {
  threshold = level;
}

void Write(Level level, std::string_view message, Fields fields) {
  if (level < threshold) {
    return;
  }
  std::string line = Prefix(level);
  line += message;
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += "=\"";
    for (const char letter : field.value) {
      // One line, whatever a pod put into a name.
      line += static_cast<unsigned char>(letter) < 0x20 || letter == '"' ? ' ' : letter;
    }
    line += '"';
  }
  line += '\n';
  // There is nowhere to complain to.
  (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace farlet::log
