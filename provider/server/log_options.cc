#include "provider/server/log_options.h"

#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <charconv>

namespace farlet::server {
namespace {

constexpr int kBadRequest = 400;
constexpr int kUnprocessable = 422;

Error BadOption(int status, std::string message) {
  Error error = InvalidArgument(std::move(message));
  error.http_status = status;
  return error;
}

// The values of strconv.ParseBool; apimachinery takes a present but empty parameter for true.
Status ParseBool(const Request& request, std::string_view name, bool& value) {
  const std::string* text = request.Find(name);
  if (text == nullptr) {
    return {};
  }
  for (const std::string_view yes : {"", "1", "t", "T", "TRUE", "true", "True"}) {
    if (*text == yes) {
      value = true;
      return {};
    }
  }
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (*text == no) {
      value = false;
      return {};
    }
  }
  return BadOption(kBadRequest, fmt::format("invalid {}: \"{}\" is not a boolean", name, *text));
}

Status ParseInteger(std::string_view name, std::string_view text, std::optional<int64_t>& value) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return BadOption(kBadRequest, fmt::format("invalid {}: \"{}\" is not a number", name, text));
  }
  value = number;
  return {};
}

Status ParseInteger(const Request& request, std::string_view name, std::optional<int64_t>& value) {
  const std::string* text = request.Find(name);
  return text == nullptr ? Status() : ParseInteger(name, *text, value);
}

// `tail` is the old name of `tailLines` and wins; "all" means no limit.
Status ParseTail(const Request& request, LogOptions& options) {
  const std::string* tail = request.Find("tail");
  if (tail == nullptr || tail->empty()) {
    FARLET_TRY(ParseInteger(request, "tailLines", options.tail_lines));
  } else if (*tail != "all") {
    FARLET_TRY(ParseInteger("tail", *tail, options.tail_lines));
  }
  if (options.tail_lines && *options.tail_lines < 0) {
    return BadOption(kUnprocessable, "invalid tailLines: must be greater than or equal to 0");
  }
  return {};
}

Status ParseSince(const Request& request, WallTime now, LogOptions& options) {
  std::optional<int64_t> since_seconds;
  FARLET_TRY(ParseInteger(request, "sinceSeconds", since_seconds));
  const std::string* since_time = request.Find("sinceTime");
  if (since_time != nullptr && !since_time->empty()) {
    auto time = ParseRfc3339(*since_time);
    if (!time) {
      return BadOption(kBadRequest, fmt::format("invalid sinceTime: {}", time.error().message));
    }
    if (since_seconds) {
      return BadOption(kUnprocessable,
                       "at most one of sinceTime and sinceSeconds may be specified");
    }
    options.since = *time;
  }
  if (!since_seconds) {
    return {};
  }
  if (*since_seconds < 1) {
    return BadOption(kUnprocessable, "invalid sinceSeconds: must be greater than 0");
  }
  const auto age = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
  options.since = now - seconds(std::min<int64_t>(*since_seconds, age.count()));
  return {};
}

Status ParseStream(const Request& request, LogOptions& options) {
  const std::string* stream = request.Find("stream");
  if (stream == nullptr || stream->empty() || *stream == "All") {
    return {};
  }
  if (*stream != "Stdout" && *stream != "Stderr") {
    return BadOption(kUnprocessable, "invalid stream: must be All, Stdout or Stderr");
  }
  if (options.tail_lines) {
    return BadOption(kUnprocessable, "tailLines and a specific stream are mutually exclusive");
  }
  options.want_stdout = *stream == "Stdout";
  options.want_stderr = !options.want_stdout;
  return {};
}

}  // namespace

Result<LogOptions> ParseLogOptions(const Request& request, WallTime now) {
  LogOptions options;
  FARLET_TRY(ParseBool(request, "follow", options.follow));
  FARLET_TRY(ParseBool(request, "previous", options.previous));
  FARLET_TRY(ParseBool(request, "timestamps", options.timestamps));
  FARLET_TRY(ParseTail(request, options));
  FARLET_TRY(ParseSince(request, now, options));
  FARLET_TRY(ParseInteger(request, "limitBytes", options.limit_bytes));
  if (options.limit_bytes && *options.limit_bytes < 1) {
    return BadOption(kUnprocessable, "invalid limitBytes: must be greater than 0");
  }
  FARLET_TRY(ParseStream(request, options));
  return options;
}

}  // namespace farlet::server
