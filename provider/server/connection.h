#pragma once

#include "provider/server/http_server.h"
#include "provider/server/io.h"
#include "provider/server/request_exchange.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

// Internal.
namespace farlet::server {

namespace http = boost::beast::http;

// What all connections share.
struct HttpService {
  explicit HttpService(HttpOptions http_options) : options(std::move(http_options)) {}

  const HttpOptions options;
  std::atomic<size_t> connections = 0;
};

using RequestHandlerPtr = std::shared_ptr<const RequestHandler>;

// Counts a connection for as long as it, or the session that it was handed over to, lives.
class ConnectionCount {
 public:
  explicit ConnectionCount(std::shared_ptr<HttpService> service) : service_(std::move(service)) {
    ++service_->connections;
  }

  ConnectionCount(const ConnectionCount&) = delete;
  ConnectionCount& operator=(const ConnectionCount&) = delete;

  ~ConnectionCount() { --service_->connections; }

 private:
  const std::shared_ptr<HttpService> service_;
};

// One client connection: TLS handshake, then requests one after another, each of which is given to
// the handler. All on the I/O thread.
//
//   handshake ─► idle ─► headers ─► body ─► handler ─► whole answer ──► idle | closed
//                                                   ├► streamed body ─► idle | closed
//                                                   └► upstream ─► Splice
class Connection final : public Session,
                         public AnswerSink,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<IoCore> core,
             std::shared_ptr<HttpService> service,
             RequestHandlerPtr handler,
             std::shared_ptr<ClientStream> stream);
  ~Connection() override;

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  void Close() override;

  void Reply(uint64_t number, Response response) override;
  void Stream(uint64_t number, std::unique_ptr<BodySource> body, bool live) override;
  void Tunnel(uint64_t number, const std::string& url) override;

 private:
  void AwaitRequest();
  void ReadHeader();
  void ReadBody();
  void OnReadError(const ErrorCode& error);
  void HandleRequest();
  Result<Request> DecodeRequest();

  // True for the first answer to the current request.
  bool TakeAnswer(uint64_t number);
  void Send(Response response);
  void OnSent(const ErrorCode& error, bool keep_alive);
  void Finish();

  void SendBody(std::unique_ptr<BodySource> body, bool live);
  void StartSplice(tcp::socket upstream, std::string head, std::string early);

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<HttpService> service_;
  const RequestHandlerPtr handler_;
  std::unique_ptr<ConnectionCount> count_;
  std::shared_ptr<ClientStream> stream_;
  Deadline deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  uint64_t request_number_ = 0;
  bool awaiting_answer_ = false;
  bool closed_ = false;
};

}  // namespace farlet::server
