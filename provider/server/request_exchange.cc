#include "provider/server/request_exchange.h"

#include "provider/server/upstream.h"

#include <utility>

namespace farlet::server {

RequestExchange::RequestExchange(std::shared_ptr<IoCore> core,
                                 std::shared_ptr<AnswerSink> sink,
                                 uint64_t number,
                                 Request request)
    : core_(std::move(core)),
      sink_(std::move(sink)),
      number_(number),
      request_(std::move(request)) {}

RequestExchange::~RequestExchange() {
  core_->Post([sink = std::move(sink_), number = number_] {
    sink->Reply(number, {.status = 500, .body = "no answer"});
  });
}

void RequestExchange::Reply(Response response) {
  core_->Post([sink = sink_, number = number_, response = std::move(response)]() mutable {
    sink->Reply(number, std::move(response));
  });
}

void RequestExchange::Stream(std::unique_ptr<BodySource> body, bool live) {
  auto shared = std::make_shared<std::unique_ptr<BodySource>>(std::move(body));
  core_->Post([sink = sink_, number = number_, shared, live] {
    sink->Stream(number, std::move(*shared), live);
  });
}

void RequestExchange::Tunnel(std::string url) {
  core_->Post(
      [sink = sink_, number = number_, url = std::move(url)] { sink->Tunnel(number, url); });
}

void RequestExchange::After(std::chrono::milliseconds delay, std::function<void()> callback) {
  core_->Post(
      [core = core_, delay, callback = std::move(callback)] { RunAfter(core, delay, callback); });
}

void RequestExchange::Post(std::function<void()> callback) {
  core_->Post(std::move(callback));
}

}  // namespace farlet::server
