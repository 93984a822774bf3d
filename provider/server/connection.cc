#include "provider/server/connection.h"

#include "provider/server/body_sender.h"
#include "provider/server/request_exchange.h"
#include "provider/server/splice.h"
#include "provider/server/upstream.h"
#include "runtime/base/log.h"

#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <algorithm>
#include <utility>

namespace farlet::server {
namespace {

constexpr size_t kReadSize = 4096;
constexpr std::chrono::milliseconds kGoodbye{2000};
// Longer than every deadline behind a handler (CRI: two minutes).
constexpr std::chrono::minutes kHandler{5};

std::string Lower(boost::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char letter) {
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
  });
  return lower;
}

}  // namespace

Connection::Connection(std::shared_ptr<IoCore> core,
                       std::shared_ptr<HttpService> service,
                       RequestHandlerPtr handler,
                       std::shared_ptr<ClientStream> stream)
    : core_(std::move(core)),
      service_(std::move(service)),
      handler_(std::move(handler)),
      count_(std::make_unique<ConnectionCount>(service_)),
      stream_(std::move(stream)),
      deadline_(core_->context(), [this] { Close(); }),
      buffer_(service_->options.max_header_bytes + service_->options.max_body_bytes) {}

Connection::~Connection() = default;

void Connection::Start() {
  core_->Add(this);
  if (stream_->native_tls() == nullptr) {
    AwaitRequest();
    return;
  }
  deadline_.Set(service_->options.timeouts.handshake);
  stream_->Handshake([self = shared_from_this()](ErrorCode error) {
    if (error) {
      log::Debug("TLS handshake failed", {{"error", error.message()}});
      self->Close();
      return;
    }
    self->AwaitRequest();
  });
}

void Connection::Close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  deadline_.Clear();
  core_->Remove(this);
  if (stream_) {
    stream_->Close();
  }
}

void Connection::AwaitRequest() {
  parser_.reset();
  if (closed_) {
    return;
  }
  if (buffer_.size() > 0) {
    ReadHeader();
    return;
  }
  buffer_.shrink_to_fit();
  deadline_.Set(request_number_ == 0 ? service_->options.timeouts.header
                                     : service_->options.timeouts.idle);
  stream_->async_read_some(buffer_.prepare(kReadSize),
                           [self = shared_from_this()](ErrorCode error, size_t size) {
                             if (error) {
                               self->Close();
                               return;
                             }
                             self->buffer_.commit(size);
                             self->ReadHeader();
                           });
}

void Connection::ReadHeader() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(service_->options.max_header_bytes));
  parser_->body_limit(service_->options.max_body_bytes);
  deadline_.Set(service_->options.timeouts.header);
  http::async_read_header(*stream_, buffer_, *parser_,
                          [self = shared_from_this()](ErrorCode error, size_t) {
                            if (error) {
                              self->OnReadError(error);
                              return;
                            }
                            self->ReadBody();
                          });
}

void Connection::ReadBody() {
  if (parser_->is_done()) {
    HandleRequest();
    return;
  }
  http::async_read(*stream_, buffer_, *parser_,
                   [self = shared_from_this()](ErrorCode error, size_t) {
                     if (error) {
                       self->OnReadError(error);
                       return;
                     }
                     self->HandleRequest();
                   });
}

void Connection::OnReadError(const ErrorCode& error) {
  if (closed_ || error.category() != make_error_code(http::error::bad_method).category() ||
      error == http::error::end_of_stream || error == http::error::partial_message) {
    Close();
    return;
  }
  Response response{.status = 400, .body = "malformed request: " + error.message()};
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    response = {.status = 431, .body = "request headers too large"};
  } else if (error == http::error::body_limit) {
    response = {.status = 413, .body = "request body too large"};
  }
  response.close = true;
  ++request_number_;
  Send(std::move(response));
}

Result<Request> Connection::DecodeRequest() {
  auto& message = parser_->get();
  Request request;
  request.method = std::string(message.method_string());
  request.upgrade = Lower(message[http::field::connection]).find("upgrade") != std::string::npos;
  request.upgrade_protocol = Lower(message[http::field::upgrade]);
  const auto target = message.target();
  FARLET_TRY(ParseTarget({target.data(), target.size()}, request));
  request.body = std::move(message.body());
  return request;
}

void Connection::HandleRequest() {
  ++request_number_;
  awaiting_answer_ = true;
  deadline_.Set(kHandler);
  auto request = DecodeRequest();
  if (!request) {
    // Nobody learns more than this before authentication; it tells nothing about the node.
    Reply(request_number_, ErrorResponse(request.error()));
    return;
  }
  const auto authorization = parser_->get()[http::field::authorization];
  const auto exchange = std::make_shared<RequestExchange>(core_, shared_from_this(),
                                                          request_number_, std::move(*request));
  (*handler_)(exchange, {.tls = stream_->native_tls(),
                         .authorization = {authorization.data(), authorization.size()}});
}

bool Connection::TakeAnswer(uint64_t number) {
  if (closed_ || !awaiting_answer_ || number != request_number_) {
    return false;
  }
  awaiting_answer_ = false;
  return true;
}

void Connection::Reply(uint64_t number, Response response) {
  if (TakeAnswer(number)) {
    Send(std::move(response));
  }
}

void Connection::Send(Response response) {
  const auto& request = parser_->get();
  auto message = std::make_shared<http::response<http::string_body>>();
  message->version(request.version() == 10 ? 10 : 11);
  message->result(static_cast<unsigned>(response.status));
  message->keep_alive(parser_->is_done() && request.keep_alive() && !response.close);
  message->set(http::field::content_type, response.content_type);
  message->set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) {
    message->set(name, value);
  }
  message->body() = std::move(response.body);
  message->prepare_payload();
  if (request.method() == http::verb::head) {
    message->body().clear();  // Content-Length stays
  }
  deadline_.Set(service_->options.timeouts.write);
  const bool keep_alive = message->keep_alive();
  http::async_write(*stream_, *message,
                    [self = shared_from_this(), message, keep_alive](ErrorCode error, size_t) {
                      self->OnSent(error, keep_alive);
                    });
}

void Connection::OnSent(const ErrorCode& error, bool keep_alive) {
  if (error) {
    Close();
  } else if (keep_alive) {
    AwaitRequest();
  } else {
    Finish();
  }
}

void Connection::Finish() {
  if (closed_) {
    return;
  }
  deadline_.Set(kGoodbye);
  stream_->Shutdown([self = shared_from_this()](ErrorCode) { self->Close(); });
}

void Connection::Stream(uint64_t number, std::unique_ptr<BodySource> body, bool live) {
  if (TakeAnswer(number)) {
    SendBody(std::move(body), live);
  }
}

void Connection::SendBody(std::unique_ptr<BodySource> body, bool live) {
  const auto& request = parser_->get();
  deadline_.Clear();
  const BodySenderOptions options{
      .chunked = request.version() >= 11,
      // A live body's connection is watched for its end, which eats what else might come.
      .keep_alive = request.keep_alive() && request.version() >= 11 && !live,
      .live = live,
      .write_timeout = service_->options.timeouts.stream_idle,
  };
  auto sender = std::make_shared<BodySender>(core_, stream_, std::move(body), options);
  sender->Start([self = shared_from_this(), options](ErrorCode error) {
    self->OnSent(error, options.keep_alive);
  });
}

void Connection::Tunnel(uint64_t number, const std::string& url) {
  if (!TakeAnswer(number)) {
    return;
  }
  auto parsed = ParseStreamingUrl(url, service_->options.streaming_host);
  if (!parsed) {
    log::Warning("streaming URL refused", {{"error", parsed.error()}});
    Send(ErrorResponse(parsed.error()));
    return;
  }
  HeaderList headers;
  for (const auto& field : parser_->get()) {
    headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  const auto method = parser_->get().method_string();
  deadline_.Clear();
  DialUpstream(core_, *parsed,
               BuildUpgradeRequest({method.data(), method.size()}, *parsed, headers),
               service_->options.timeouts.upstream,
               [self = shared_from_this()](Result<UpstreamAnswer> answer) {
                 if (self->closed_) {
                   return;
                 }
                 if (!answer) {
                   self->Send(ErrorResponse(answer.error()));
                 } else if (answer->refusal) {
                   answer->refusal->close = true;
                   self->Send(std::move(*answer->refusal));
                 } else {
                   self->StartSplice(std::move(*answer->socket), std::move(answer->head),
                                     std::move(answer->early));
                 }
               });
}

void Connection::StartSplice(tcp::socket upstream, std::string head, std::string early) {
  const auto buffered = buffer_.data();
  std::string to_upstream(static_cast<const char*>(buffered.data()), buffered.size());
  auto splice = std::make_shared<Splice>(core_, std::move(stream_), std::move(upstream),
                                         service_->options.timeouts.stream_idle,
                                         std::shared_ptr<void>(std::move(count_)));
  closed_ = true;  // the splice has the stream now
  core_->Remove(this);
  splice->Start(std::move(to_upstream), head + early);
}

}  // namespace farlet::server
