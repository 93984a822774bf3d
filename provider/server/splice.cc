#include "provider/server/splice.h"

#include <boost/asio/write.hpp>

#include <algorithm>
#include <utility>

namespace farlet::server {
namespace {

constexpr std::chrono::milliseconds kGoodbye{2000};
// How long the server may take to end after the client has.
constexpr std::chrono::milliseconds kHalfClosed{std::chrono::minutes(5)};

}  // namespace

Splice::Splice(std::shared_ptr<IoCore> core,
               std::shared_ptr<ClientStream> client,
               tcp::socket upstream,
               std::chrono::milliseconds idle,
               std::shared_ptr<void> token)
    : core_(std::move(core)),
      client_(std::move(client)),
      upstream_(std::move(upstream)),
      idle_(idle),
      token_(std::move(token)),
      deadline_(core_->context(), [this] { Close(); }) {}

void Splice::Start(std::string to_upstream, std::string to_client) {
  core_->Add(this);
  first_to_upstream_ = std::move(to_upstream);
  first_to_client_ = std::move(to_client);
  WriteUpstream(asio::buffer(first_to_upstream_));
  WriteClient(asio::buffer(first_to_client_));
}

void Splice::Close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  deadline_.Clear();
  core_->Remove(this);
  client_->Close();
  ErrorCode ignored;
  upstream_.close(ignored);
}

void Splice::ReadClient() {
  client_->async_read_some(asio::buffer(from_client_),
                           [self = shared_from_this()](ErrorCode error, size_t size) {
                             if (error) {
                               self->OnClientEnd(error);
                               return;
                             }
                             self->WriteUpstream(asio::buffer(self->from_client_, size));
                           });
}

void Splice::WriteUpstream(asio::const_buffer bytes) {
  if (closed_) {
    return;
  }
  deadline_.Set(idle_);
  asio::async_write(upstream_, bytes, [self = shared_from_this()](ErrorCode error, size_t) {
    if (error) {
      self->OnClientEnd(error);
      return;
    }
    self->ReadClient();
  });
}

void Splice::OnClientEnd(const ErrorCode& error) {
  if (closed_ || client_ended_) {
    return;
  }
  client_ended_ = true;
  if (!IsEndOfStream(error)) {
    Close();
    return;
  }
  ErrorCode ignored;
  upstream_.shutdown(tcp::socket::shutdown_send, ignored);
  deadline_.Set(std::min(idle_, kHalfClosed));
}

void Splice::ReadUpstream() {
  upstream_.async_read_some(asio::buffer(from_upstream_),
                            [self = shared_from_this()](ErrorCode error, size_t size) {
                              if (error) {
                                self->OnUpstreamEnd(error);
                                return;
                              }
                              self->WriteClient(asio::buffer(self->from_upstream_, size));
                            });
}

void Splice::WriteClient(asio::const_buffer bytes) {
  if (closed_) {
    return;
  }
  deadline_.Set(client_ended_ ? std::min(idle_, kHalfClosed) : idle_);
  asio::async_write(*client_, bytes, [self = shared_from_this()](ErrorCode error, size_t) {
    if (error) {
      self->Close();
      return;
    }
    self->ReadUpstream();
  });
}

void Splice::OnUpstreamEnd(const ErrorCode& error) {
  if (closed_) {
    return;
  }
  if (!IsEndOfStream(error)) {
    Close();
    return;
  }
  client_ended_ = true;
  deadline_.Set(std::min(idle_, kGoodbye));
  client_->Shutdown([self = shared_from_this()](ErrorCode) { self->Close(); });
}

}  // namespace farlet::server
