#include "kube/client/rest_call.h"

#include "kube/client/http_status.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace farlet::kube {
namespace {

// Retry-After in seconds; its other form, a date, is ignored.
std::optional<milliseconds> ParseRetryAfter(std::string_view text) {
  int seconds_to_wait = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), seconds_to_wait);
  if (error != std::errc() || end != text.data() + text.size() || seconds_to_wait < 0) {
    return std::nullopt;
  }
  return seconds(std::min(seconds_to_wait, 3600));
}

}  // namespace

RestCall::RestCall(std::shared_ptr<ClientCore> core,
                   RestRequest request,
                   const CallOptions& options,
                   Callback<Json> done)
    : core_(std::move(core)),
      request_(std::move(request)),
      options_(options),
      deadline_(core_->clock().Now() + options.deadline),
      done_(std::move(done)) {}

void RestCall::Start() {
  if (!core_->Register(shared_from_this())) {
    Abort();
    return;
  }
  core_->transport().Post([self = shared_from_this()] {
    if (self->finished_) {
      return;
    }
    self->deadline_timer_ = self->core_->timers().After(
        self->deadline_ - self->core_->clock().Now(), [weak = self->weak_from_this()] {
          if (const auto late = weak.lock()) {
            late->core_->transport().Post([late] { late->HandleDeadline(); });
          }
        });
    self->Attempt();
  });
}

void RestCall::Abort() {
  core_->transport().Post([self = shared_from_this()] {
    self->Finish(Cancelled(self->What() + ": the client was closed"));
  });
}

void RestCall::Attempt() {
  const auto proceed = [self = shared_from_this()](Result<CredentialPtr> credential) {
    if (self->finished_) {
      return;
    }
    if (!credential) {
      self->RetryOrFail(Wrap(self->What(), std::move(credential).error()));
    } else {
      self->Send(**credential);
    }
  };
  core_->Prepare(deadline_, proceed);
}

void RestCall::Send(const Credential& credential) {
  const auto left = std::chrono::ceil<milliseconds>(deadline_ - core_->clock().Now());
  if (left.count() <= 0) {
    HandleDeadline();
    return;
  }
  core_->Count(request_.method, request_.path, tries_ > 0);
  ++tries_;
  http::Headers headers = core_->HeadersFor(credential);
  if (!request_.body.empty()) {
    headers.emplace_back("Content-Type", request_.content_type);
  }
  core_->transport().Send(
      {.method = request_.method,
       .target = request_.target,
       .headers = std::move(headers),
       .body = request_.body},
      {.timeout = left},
      [self = shared_from_this(), generation = credential.generation](
          Result<http::Response> answer) { self->HandleAnswer(std::move(answer), generation); });
}

void RestCall::HandleAnswer(Result<http::Response> answer, uint64_t generation) {
  if (finished_) {
    return;
  }
  if (!answer) {
    RetryOrFail(core_->Unanswered(What(), std::move(answer).error()));
    return;
  }
  if (answer->status >= 200 && answer->status < 300) {
    Json object = Json::parse(answer->body, nullptr, false);
    if (!object.is_object()) {
      Finish(Internal(What() + ": the server's answer is not a JSON object"));
    } else {
      Finish(std::move(object));
    }
    return;
  }
  Error error = ErrorFromAnswer(What(), answer->status, answer->body);
  if (const auto wait = ParseRetryAfter(http::FindHeader(answer->headers, "Retry-After"))) {
    error.retry_after = wait;
  }
  if (answer->status == 401 && !refreshed_) {
    refreshed_ = true;
    last_error_ = std::move(error);
    core_->credentials().Invalidate(generation);
    Attempt();
    return;
  }
  RetryOrFail(std::move(error));
}

void RestCall::RetryOrFail(Error error) {
  if (!options_.retry || !error.retryable) {
    Finish(std::move(error));
    return;
  }
  const std::chrono::nanoseconds wait = std::max<std::chrono::nanoseconds>(
      backoff_.Next(), error.retry_after.value_or(milliseconds(0)));
  last_error_ = std::move(error);
  if (core_->clock().Now() + wait >= deadline_) {
    HandleDeadline();
    return;
  }
  core_->timers().After(wait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->core_->transport().Post([self] {
        if (!self->finished_) {
          self->Attempt();
        }
      });
    }
  });
}

void RestCall::HandleDeadline() {
  Error error = std::move(last_error_);
  error.code = Code::kDeadlineExceeded;
  error.retryable = true;
  error.message =
      fmt::format("{}{} after {} {}", error.message.empty() ? What() + ": " : error.message + "; ",
                  "given up: deadline of " + FormatGoDuration(options_.deadline), tries_,
                  tries_ == 1 ? "try" : "tries");
  Finish(std::move(error));
}

void RestCall::Finish(Result<Json> result) {
  if (finished_) {
    return;
  }
  finished_ = true;
  const auto self = shared_from_this();
  if (deadline_timer_ != 0) {
    core_->timers().Cancel(deadline_timer_);
  }
  const Callback<Json> done = std::exchange(done_, nullptr);
  done(std::move(result));
  core_->Unregister(self);
}

}  // namespace farlet::kube
