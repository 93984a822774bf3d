// A plugin of QEMU's (its TCG plugin interface, version 1, docs/devel/tcg-plugins.rst): when the
// machine rests it drops the translated code, which is half of an idle pod's memory, and gives the
// memory back to the host. What runs again is translated again.
//
// It runs inside QEMU, which knows nothing of C++: no exception, no library but the C library.

#include "runtime/vm/translation/code_ranges.h"
#include "runtime/vm/translation/rest_watch.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <ctime>

// QEMU's side of the interface, as much as is used here.
extern "C" {

using PluginId = uint64_t;
struct PluginInfo;

#define FARLET_EXPORT __attribute__((visibility("default")))

// NOLINTBEGIN(readability-identifier-naming): the names are QEMU's.
FARLET_EXPORT extern const int qemu_plugin_version = 1;
FARLET_EXPORT int qemu_plugin_install(PluginId id, const PluginInfo* info, int argc, char** argv);
// A virtual CPU that has slept wakes up; called with QEMU's lock held, so by one at a time.
void qemu_plugin_register_vcpu_resume_cb(PluginId id, void (*call)(PluginId id, unsigned cpu));
// Soon, with no virtual CPU running: all translated code is dropped, then all that was registered,
// and then this is called.
void qemu_plugin_reset(PluginId id, void (*call)(PluginId id));
// NOLINTEND(readability-identifier-naming)
}

namespace {

using farlet::vm::CodeRange;
using farlet::vm::RestWatch;

// The code that QEMU enters translated code by lies at the buffer's begin and is not made again.
constexpr size_t kKept = 64u << 10;

RestWatch watch;

RestWatch::Duration TimeOf(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void Discard(const CodeRange& range) {
  if (range.size > kKept) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): from a list of addresses.
    ::madvise(reinterpret_cast<void*>(range.begin + kKept), range.size - kKept, MADV_DONTNEED);
  }
}

// The whole lines in `text`; what is left over.
std::string_view DiscardLines(std::string_view text) {
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (const auto range = farlet::vm::ParseCodeRange(text.substr(0, end))) {
      Discard(*range);
    }
    text.remove_prefix(end + 1);
  }
  return text;
}

void DiscardCode() {
  const int file = ::open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    return;
  }
  static std::array<char, 4096> buffer;  // a line is shorter
  size_t held = 0;
  ssize_t count = 0;
  while ((count = ::read(file, buffer.data() + held, buffer.size() - held)) > 0) {
    const std::string_view rest = DiscardLines({buffer.data(), held + static_cast<size_t>(count)});
    held = rest.size();
    std::memmove(buffer.data(), rest.data(), held);
  }
  ::close(file);
}

void OnResume(PluginId id, unsigned cpu);

void OnReset(PluginId id) {
  DiscardCode();
  // The book-keeping of what was dropped.
  ::malloc_trim(0);
  qemu_plugin_register_vcpu_resume_cb(id, OnResume);
}

void OnResume(PluginId id, unsigned /*cpu*/) {
  if (watch.Rested(TimeOf(CLOCK_MONOTONIC), TimeOf(CLOCK_PROCESS_CPUTIME_ID))) {
    qemu_plugin_reset(id, OnReset);
  }
}

}  // namespace

int qemu_plugin_install(PluginId id, const PluginInfo* /*info*/, int /*argc*/, char** /*argv*/) {
  qemu_plugin_register_vcpu_resume_cb(id, OnResume);
  return 0;
}
