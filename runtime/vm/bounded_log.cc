#include "runtime/vm/bounded_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace farlet::vm {
namespace {

constexpr size_t kMaxLastWords = 200;

bool IsPrintable(char letter) {
  return (letter >= ' ' && letter <= '~') || letter == '\n' || letter == '\t';
}

UniqueFd OpenFresh(const std::filesystem::path& path) {
  return UniqueFd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
}

std::string_view Trimmed(std::string_view line) {
  const size_t end = line.find_last_not_of(" \t");
  return line.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

}  // namespace

BoundedLog::BoundedLog(std::filesystem::path file, size_t max_file_bytes, size_t max_tail_bytes)
    : path_(std::move(file)),
      max_file_bytes_(max_file_bytes),
      max_tail_bytes_(max_tail_bytes),
      file_(OpenFresh(path_)) {}

void BoundedLog::Append(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (const char letter : text) {
    if (letter != '\r') {
      clean += IsPrintable(letter) ? letter : '?';
    }
  }
  const std::scoped_lock lock(mutex_);
  WriteFile(clean);
  tail_ += clean;
  if (tail_.size() > max_tail_bytes_) {
    tail_.erase(0, tail_.size() - max_tail_bytes_);
  }
}

std::string BoundedLog::Tail() const {
  const std::scoped_lock lock(mutex_);
  return tail_;
}

void BoundedLog::WriteFile(std::string_view text) {
  if (file_bytes_ + text.size() > max_file_bytes_ && file_bytes_ != 0) {
    std::error_code ignored;
    std::filesystem::rename(path_, path_.string() + ".1", ignored);
    file_ = OpenFresh(path_);
    file_bytes_ = 0;
  }
  text = text.substr(0, max_file_bytes_);
  if (file_.valid() && ::write(file_.get(), text.data(), text.size()) < 0) {
    file_.Close();  // a full disk: the tail has to do
  }
  file_bytes_ += text.size();
}

std::string LastWords(std::string_view tail) {
  std::string_view last;
  while (!tail.empty()) {
    const size_t end = tail.find('\n');
    const std::string_view line = Trimmed(tail.substr(0, end));
    tail.remove_prefix(end == std::string_view::npos ? tail.size() : end + 1);
    if (const size_t panic = line.find("Kernel panic"); panic != std::string_view::npos) {
      return std::string(line.substr(panic, kMaxLastWords));
    }
    if (!line.empty()) {
      last = line;
    }
  }
  return std::string(last.substr(0, kMaxLastWords));
}

}  // namespace farlet::vm
