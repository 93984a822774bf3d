#include "provider/pod/confined_fs.h"
#include "provider/pod/cri_config.h"
#include "provider/pod/volume_paths.h"
#include "provider/pod/volumes.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <string_view>

namespace farlet::pod {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kMaxLogMessage = 2048;
constexpr size_t kMaxLogLines = 80;
// 80 lines are at most this much of a CRI log, but for lines that are longer than the message.
constexpr size_t kMaxLogTail = 512U * 1024;

std::string Annotation(const cri::ContainerStatus& status, const char* name) {
  const auto found = status.annotations.find(name);
  return found == status.annotations.end() ? "" : found->second;
}

uint32_t RestartCount(const cri::ContainerStatus& status) {
  const std::string text = Annotation(status, kRestartCountAnnotation);
  uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  return error == std::errc() && !text.empty() ? count : status.metadata.attempt;
}

// The end of what a container wrote. A line of a CRI log is "TIME STREAM TAG TEXT"; tag P: the
// text goes on in the next line.
std::string LogTail(std::string_view log) {
  std::deque<std::string_view> lines;
  while (!log.empty()) {
    const size_t end = std::min(log.find('\n'), log.size());
    lines.push_back(log.substr(0, end));
    if (lines.size() > kMaxLogLines) {
      lines.pop_front();
    }
    log.remove_prefix(std::min(end + 1, log.size()));
  }
  std::string text;
  for (std::string_view line : lines) {
    std::string_view tag;
    size_t space = 0;
    for (int field = 0; field < 3 && space != std::string_view::npos; ++field) {
      space = line.find(' ');
      tag = line.substr(0, space);
      line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    }
    if (space != std::string_view::npos) {
      text += line;
      text += tag.starts_with('P') ? "" : "\n";
    }
  }
  return text.size() > kMaxLogMessage ? text.substr(text.size() - kMaxLogMessage) : text;
}

}  // namespace

std::string ReadTerminationMessage(const NodeContext& node,
                                   const kube::Pod& pod,
                                   const cri::ContainerStatus& status) {
  if (!Annotation(status, kTerminationPathAnnotation).empty()) {
    const Result<std::string> message =
        ReadTail(TerminationLog(node, pod.meta.uid, status.metadata.name, RestartCount(status)),
                 kMaxMessage);
    if (message && !message->empty()) {
      return *message;
    }
  }
  if (status.exit_code == 0 || status.log_path.empty() ||
      Annotation(status, kTerminationPolicyAnnotation) != "FallbackToLogsOnError") {
    return {};
  }
  const Result<std::string> log = ReadTail(status.log_path, kMaxLogTail);
  return log ? LogTail(*log) : "";
}

}  // namespace farlet::pod
