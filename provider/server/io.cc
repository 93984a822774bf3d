#include "provider/server/io.h"

#include <boost/asio/error.hpp>

namespace farlet::server {

void IoCore::Post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (!finished_) {
    asio::post(context_, std::move(work));
  }
}

void IoCore::Run() {
  context_.run();
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  // What came between the end of the loop and now: it would keep its sessions for ever.
  context_.restart();
  context_.run();
}

void IoCore::Stop() {
  const std::lock_guard lock(mutex_);
  if (stopped_) {
    return;
  }
  stopped_ = true;
  asio::post(context_, [this] {
    closing_ = true;
    const auto sessions = sessions_;  // Close() removes from sessions_
    for (Session* session : sessions) {
      if (sessions_.contains(session)) {
        session->Close();
      }
    }
    work_.reset();
  });
}

void IoCore::Add(Session* session) {
  sessions_.insert(session);
  if (closing_) {
    session->Close();
  }
}

void IoCore::Remove(Session* session) {
  sessions_.erase(session);
}

struct Deadline::State {
  asio::steady_timer timer;
  std::function<void()> expired;
  std::chrono::steady_clock::time_point at;
  bool set = false;
  bool waiting = false;
};

Deadline::Deadline(asio::io_context& context, std::function<void()> expired)
    : state_(new State{asio::steady_timer(context), std::move(expired)}) {}

Deadline::~Deadline() {
  state_->expired = nullptr;
  state_->timer.cancel();
}

void Deadline::Set(std::chrono::milliseconds after) {
  const auto at = std::chrono::steady_clock::now() + after;
  const bool earlier = at < state_->at;
  state_->at = at;
  state_->set = true;
  if (!state_->waiting) {
    Wait(state_);
  } else if (earlier) {
    state_->timer.cancel();  // it waits anew
  }
}

void Deadline::Clear() {
  state_->set = false;
  state_->timer.cancel();
}

// A deadline that only moves away is looked at when it fires, not each time that it is set.
void Deadline::Wait(const std::shared_ptr<State>& state) {
  state->waiting = true;
  state->timer.expires_at(state->at);
  state->timer.async_wait([state](ErrorCode) {
    state->waiting = false;
    if (!state->set || !state->expired) {
      return;
    }
    if (std::chrono::steady_clock::now() < state->at) {
      Wait(state);
      return;
    }
    state->set = false;
    state->expired();
  });
}

void ClientStream::Handshake(std::function<void(ErrorCode)> done) {
  tls_->async_handshake(asio::ssl::stream_base::server, std::move(done));
}

void ClientStream::Shutdown(std::function<void(ErrorCode)> done) {
  if (tls_) {
    tls_->async_shutdown(std::move(done));
    return;
  }
  ErrorCode ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  asio::post(socket_.get_executor(), [done = std::move(done)] { done({}); });
}

void ClientStream::Close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

bool IsEndOfStream(const ErrorCode& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated;
}

}  // namespace farlet::server
