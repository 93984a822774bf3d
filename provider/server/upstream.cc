#include "provider/server/upstream.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>

#include <utility>

namespace farlet::server {
namespace {

namespace http = boost::beast::http;

constexpr uint32_t kMaxHead = 64 * 1024;
constexpr uint64_t kMaxRefusal = 1u << 20;

class Dial final : public Session, public std::enable_shared_from_this<Dial> {
 public:
  Dial(std::shared_ptr<IoCore> core,
       const StreamingUrl& url,
       std::string request,
       std::function<void(Result<UpstreamAnswer>)> done)
      : core_(std::move(core)),
        url_(url),
        request_(std::move(request)),
        done_(std::move(done)),
        socket_(core_->context()),
        deadline_(core_->context(), [this] {
          Fail(MakeError(Code::kDeadlineExceeded, "no answer in time"));
          Close();
        }) {}

  void Start(std::chrono::milliseconds timeout) {
    core_->Add(this);
    deadline_.Set(timeout);
    ErrorCode error;
    const auto address = asio::ip::make_address(url_.address, error);
    if (error) {
      Fail(Internal(error.message()));
      return;
    }
    socket_.async_connect({address, url_.port}, [self = shared_from_this()](ErrorCode connected) {
      if (connected) {
        self->Fail(Unavailable(connected.message()));
        return;
      }
      self->SendRequest();
    });
  }

  void Close() override {
    core_->Remove(this);
    deadline_.Clear();
    ErrorCode ignored;
    socket_.close(ignored);
  }

 private:
  void SendRequest() {
    ErrorCode ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](ErrorCode error, size_t) {
                        if (error) {
                          self->Fail(Unavailable(error.message()));
                          return;
                        }
                        self->ReadHead();
                      });
  }

  void ReadHead() {
    parser_.header_limit(kMaxHead);
    parser_.body_limit(kMaxRefusal);
    http::async_read_header(socket_, buffer_, parser_,
                            [self = shared_from_this()](ErrorCode error, size_t) {
                              if (error) {
                                self->Fail(Unavailable(error.message()));
                                return;
                              }
                              self->OnHead();
                            });
  }

  void OnHead() {
    const auto& answer = parser_.get();
    if (answer.result() == http::status::switching_protocols) {
      std::string head =
          fmt::format("HTTP/1.1 {} {}\r\n", answer.result_int(), std::string(answer.reason()));
      for (const auto& field : answer) {
        head +=
            fmt::format("{}: {}\r\n", std::string(field.name_string()), std::string(field.value()));
      }
      head += "\r\n";
      const auto early = buffer_.data();
      UpstreamAnswer switched{
          .head = std::move(head),
          .early = {static_cast<const char*>(early.data()), early.size()},
      };
      switched.socket.emplace(std::move(socket_));
      Done(std::move(switched));
      return;
    }
    if (answer.result_int() < 400) {
      Fail(Internal(fmt::format("invalid upgrade response: status code {}", answer.result_int())));
      return;
    }
    if (parser_.is_done()) {
      OnRefusal();
      return;
    }
    http::async_read(socket_, buffer_, parser_,
                     [self = shared_from_this()](ErrorCode error, size_t) {
                       if (error) {
                         self->Fail(Unavailable(error.message()));
                         return;
                       }
                       self->OnRefusal();
                     });
  }

  void OnRefusal() {
    const auto& answer = parser_.get();
    Response response{.status = static_cast<int>(answer.result_int()), .body = answer.body()};
    const auto type = answer[http::field::content_type];
    if (!type.empty()) {
      response.content_type = std::string(type);
    }
    Done({.refusal = std::move(response)});
  }

  void Fail(Error error) {
    if (!done_) {
      return;
    }
    error = Wrap("reach the streaming server at " + url_.host, std::move(error));
    error.http_status = error.code == Code::kDeadlineExceeded ? 504 : 502;
    std::exchange(done_, nullptr)(std::move(error));
    Close();
  }

  void Done(UpstreamAnswer answer) {
    if (done_) {
      std::exchange(done_, nullptr)(std::move(answer));
    }
    Close();
  }

  const std::shared_ptr<IoCore> core_;
  const StreamingUrl url_;
  const std::string request_;
  std::function<void(Result<UpstreamAnswer>)> done_;
  tcp::socket socket_;
  Deadline deadline_;
  boost::beast::flat_buffer buffer_{kMaxHead + kMaxRefusal};
  http::response_parser<http::string_body> parser_;
};

// A timer that ends with the core.
class Alarm final : public Session, public std::enable_shared_from_this<Alarm> {
 public:
  Alarm(std::shared_ptr<IoCore> core, std::function<void()> callback)
      : core_(std::move(core)), callback_(std::move(callback)), timer_(core_->context()) {}

  void Start(std::chrono::milliseconds delay) {
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this()](ErrorCode error) {
      self->core_->Remove(self.get());
      if (!error) {
        self->callback_();
      }
    });
    core_->Add(this);
  }

  void Close() override {
    core_->Remove(this);
    timer_.cancel();
  }

 private:
  const std::shared_ptr<IoCore> core_;
  const std::function<void()> callback_;
  asio::steady_timer timer_;
};

}  // namespace

void DialUpstream(const std::shared_ptr<IoCore>& core,
                  const StreamingUrl& url,
                  std::string request,
                  std::chrono::milliseconds timeout,
                  std::function<void(Result<UpstreamAnswer>)> done) {
  std::make_shared<Dial>(core, url, std::move(request), std::move(done))->Start(timeout);
}

void RunAfter(const std::shared_ptr<IoCore>& core,
              std::chrono::milliseconds delay,
              std::function<void()> callback) {
  std::make_shared<Alarm>(core, std::move(callback))->Start(delay);
}

}  // namespace farlet::server
