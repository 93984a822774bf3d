#include "provider/server/body_sender.h"

#include "runtime/base/log.h"

#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace farlet::server {
namespace {

// How long to wait for more when there is nothing: short after output, longer when all is quiet.
constexpr std::chrono::milliseconds kShortestPause{10};
constexpr std::chrono::milliseconds kLongestPause{100};

std::string Headers(const BodySenderOptions& options) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n{}{}\r\n",
      options.chunked ? "Transfer-Encoding: chunked\r\n" : "",
      options.keep_alive ? "" : "Connection: close\r\n");
}

}  // namespace

BodySender::BodySender(std::shared_ptr<IoCore> core,
                       std::shared_ptr<ClientStream> stream,
                       std::unique_ptr<BodySource> body,
                       BodySenderOptions options)
    : core_(std::move(core)),
      stream_(std::move(stream)),
      body_(std::move(body)),
      options_(options),
      deadline_(core_->context(), [this] { End(asio::error::timed_out); }),
      pause_(core_->context()),
      pause_length_(kShortestPause) {}

void BodySender::Start(std::function<void(ErrorCode)> done) {
  done_ = std::move(done);
  if (options_.live) {
    WatchClient();
  }
  Pump();
}

void BodySender::WatchClient() {
  stream_->async_read_some(asio::buffer(scratch_),
                           [self = shared_from_this()](ErrorCode error, size_t) {
                             if (error) {
                               self->End(error);
                             } else if (self->done_) {
                               self->WatchClient();
                             }
                           });
}

void BodySender::Pump() {
  if (!stream_->socket().is_open()) {
    End(asio::error::operation_aborted);
  }
  if (!done_) {
    return;
  }
  piece_.clear();
  const auto next = body_->Produce(piece_);
  if (!next) {
    log::Warning("response body broken off", {{"error", next.error()}});
    End(asio::error::connection_aborted);
    return;
  }
  const bool headers_due = !headers_sent_ && options_.live;
  if (piece_.empty() && !headers_due && *next != BodySource::Next::kEnd) {
    Continue(*next);
    return;
  }
  Write(*next);
}

void BodySender::Write(BodySource::Next next) {
  output_.clear();
  if (!std::exchange(headers_sent_, true)) {
    output_ = Headers(options_);
  }
  if (!options_.chunked) {
    output_ += piece_;
  } else if (!piece_.empty()) {
    output_ += fmt::format("{:x}\r\n", piece_.size());
    output_ += piece_;
    output_ += "\r\n";
  }
  if (next == BodySource::Next::kEnd && options_.chunked) {
    output_ += "0\r\n\r\n";
  }
  if (!piece_.empty()) {
    pause_length_ = kShortestPause;
  }
  deadline_.Set(options_.write_timeout);
  asio::async_write(*stream_, asio::buffer(output_),
                    [self = shared_from_this(), next](ErrorCode error, size_t) {
                      self->deadline_.Clear();
                      if (error) {
                        self->End(error);
                        return;
                      }
                      self->Continue(next);
                    });
}

void BodySender::Continue(BodySource::Next next) {
  switch (next) {
    case BodySource::Next::kEnd:
      End({});
      return;
    case BodySource::Next::kMore:
      // Others get their turn in between.
      asio::post(core_->context(), [self = shared_from_this()] { self->Pump(); });
      return;
    case BodySource::Next::kWait:
      Wait();
      return;
  }
}

void BodySender::Wait() {
  pause_.expires_after(pause_length_);
  pause_length_ = std::min(pause_length_ * 2, kLongestPause);
  pause_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (!error) {
      self->Pump();
    }
  });
}

void BodySender::End(const ErrorCode& error) {
  deadline_.Clear();
  pause_.cancel();
  if (const auto done = std::exchange(done_, nullptr)) {
    done(error);
  }
}

}  // namespace farlet::server
