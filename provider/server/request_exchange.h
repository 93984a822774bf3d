#pragma once

#include "provider/server/exchange.h"
#include "provider/server/io.h"

#include <cstdint>
#include <memory>
#include <string>

// Internal.
namespace farlet::server {

// Where the answers to numbered requests go. I/O thread; an answer to a request that is not the
// current one, or has been answered, is ignored.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;

  virtual void Reply(uint64_t number, Response response) = 0;
  virtual void Stream(uint64_t number, std::unique_ptr<BodySource> body, bool live) = 0;
  virtual void Tunnel(uint64_t number, const std::string& url) = 0;
};

// Carries what a route answers, from any thread, to the I/O thread and the sink.
class RequestExchange final : public Exchange {
 public:
  RequestExchange(std::shared_ptr<IoCore> core,
                  std::shared_ptr<AnswerSink> sink,
                  uint64_t number,
                  Request request);
  // The sink is let go on the I/O thread.
  ~RequestExchange() override;

  RequestExchange(const RequestExchange&) = delete;
  RequestExchange& operator=(const RequestExchange&) = delete;

  const Request& request() const override { return request_; }

  void Reply(Response response) override;
  void Stream(std::unique_ptr<BodySource> body, bool live) override;
  void Tunnel(std::string url) override;
  void After(std::chrono::milliseconds delay, std::function<void()> callback) override;
  void Post(std::function<void()> callback) override;

 private:
  const std::shared_ptr<IoCore> core_;
  std::shared_ptr<AnswerSink> sink_;
  const uint64_t number_;
  const Request request_;
};

}  // namespace farlet::server
