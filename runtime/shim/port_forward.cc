#include "runtime/shim/port_forward.h"

#include "runtime/base/log.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <array>
#include <string>
#include <utility>

namespace farlet::shim {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr uint32_t kReadBytes = 65536;

// With a reset: the host's kernel has taken the connection already, and an orderly end would look
// like a server that has nothing to say. containerd tells kubectl of a reset.
void Reset(UniqueFd connection) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

// One connection: a loop each way, with one chunk in hand. Ends when both ways have ended, or with
// the first error.
class PortForwarder::Relay final : public std::enable_shared_from_this<Relay> {
 public:
  Relay(asio::io_context& io, std::shared_ptr<PortForwarder> owner, uint64_t id, int socket)
      : owner_(std::move(owner)), id_(id), socket_(io, socket) {}

  ~Relay() { --owner_->open_; }

  void Start() {
    FromGuest();
    FromHost();
  }

 private:
  GuestAgent* Agent() { return closed_ ? nullptr : owner_->pod_->agent(); }

  void FromGuest() {
    GuestAgent* const agent = Agent();
    if (agent == nullptr) {
      Close();
      return;
    }
    guest::v1::ReadTcpRequest request;
    request.set_connection_id(id_);
    request.set_max_bytes(kReadBytes);
    agent->Call<guest::v1::ReadTcpResponse>(
        "ReadTcp", request, kNoDeadline,
        [self = shared_from_this()](Result<guest::v1::ReadTcpResponse> read) {
          if (!read) {
            self->Close();
          } else if (read->eof()) {
            ::shutdown(self->socket_.native_handle(), SHUT_WR);
            self->EndOfOneWay();
          } else {
            self->ToHost(std::move(*read->mutable_data()));
          }
        });
  }

  void ToHost(std::string data) {
    to_host_ = std::move(data);
    asio::async_write(socket_, asio::buffer(to_host_),
                      [self = shared_from_this()](const error_code& error, size_t /*count*/) {
                        error ? self->Close() : self->FromGuest();
                      });
  }

  void FromHost() {
    socket_.async_read_some(asio::buffer(from_host_),
                            [self = shared_from_this()](const error_code& error, size_t count) {
                              if (error == asio::error::eof) {
                                self->EndToGuest();
                              } else if (error) {
                                self->Close();
                              } else {
                                self->ToGuest(std::string(self->from_host_.data(), count));
                              }
                            });
  }

  void ToGuest(std::string data) {
    GuestAgent* const agent = Agent();
    if (agent == nullptr) {
      Close();
      return;
    }
    guest::v1::WriteTcpRequest request;
    request.set_connection_id(id_);
    request.set_data(data);
    agent->Call<guest::v1::WriteTcpResponse>(
        "WriteTcp", request, kNoDeadline,
        [self = shared_from_this(),
         data = std::move(data)](const Result<guest::v1::WriteTcpResponse>& written) {
          if (!written || written->written() == 0 || written->written() > data.size()) {
            self->Close();
          } else if (written->written() < data.size()) {
            self->ToGuest(data.substr(written->written()));
          } else {
            self->FromHost();
          }
        });
  }

  void EndToGuest() {
    CloseInGuest(/*half=*/true);
    EndOfOneWay();
  }

  void EndOfOneWay() {
    if (std::exchange(one_way_, true)) {
      Close();
    }
  }

  void Close() {
    if (closed_) {
      return;
    }
    CloseInGuest(/*half=*/false);
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);
  }

  void CloseInGuest(bool half) {
    GuestAgent* const agent = Agent();
    if (agent == nullptr) {
      return;
    }
    guest::v1::CloseTcpRequest request;
    request.set_connection_id(id_);
    request.set_half(half);
    agent->Call<guest::v1::CloseTcpResponse>(
        "CloseTcp", request, kGuestDeadline,
        [](const Result<guest::v1::CloseTcpResponse>& /*closed*/) {});
  }

  const std::shared_ptr<PortForwarder> owner_;
  const uint64_t id_;
  asio::posix::stream_descriptor socket_;
  bool closed_ = false;
  bool one_way_ = false;
  std::string to_host_;
  std::array<char, 32768> from_host_;
};

PortForwarder::PortForwarder(asio::io_context& io, std::shared_ptr<Pod> pod)
    : io_(io), pod_(std::move(pod)) {}

void PortForwarder::Accept(uint16_t port, int family, UniqueFd connection) {
  auto shared = std::make_shared<UniqueFd>(std::move(connection));
  asio::post(io_, [weak = weak_from_this(), port, family, shared] {
    if (const auto self = weak.lock()) {
      self->Open(port, family, shared);
    }
  });
}

void PortForwarder::Open(uint16_t port, int family, std::shared_ptr<UniqueFd> connection) {
  GuestAgent* const agent = pod_->agent();
  if (agent == nullptr || open_ >= kMaxConnections) {
    log::Warning("a connection to the pod's loopback address is refused", {{"port", port}});
    Reset(std::move(*connection));
    return;
  }
  ++open_;
  guest::v1::OpenTcpRequest request;
  request.set_port(port);
  // "localhost" is dialled as IPv4 by containerd; the server may listen on either.
  request.set_address(family == AF_INET6 ? "::1" : "");
  agent->Call<guest::v1::OpenTcpResponse>(
      "OpenTcp", request, kGuestDeadline,
      [self = shared_from_this(), port,
       connection = std::move(connection)](const Result<guest::v1::OpenTcpResponse>& opened) {
        if (!opened) {
          --self->open_;
          log::Info("nobody in the pod takes a connection",
                    {{"port", port}, {"error", opened.error()}});
          Reset(std::move(*connection));
          return;
        }
        std::make_shared<Relay>(self->io_, self, opened->connection_id(), connection->Release())
            ->Start();
      });
}

}  // namespace farlet::shim
