#include "tests/fakes/apiserver/fake_api_server.h"

#include <algorithm>
#include <atomic>

namespace farlet::testing {
namespace {

constexpr std::chrono::milliseconds kEndPoll(100);

// The chunked answer of one watch; begun by whoever has something to say first.
class WatchAnswer {
 public:
  explicit WatchAnswer(FakeExchange& exchange) : exchange_(exchange) {}

  void Begin() {
    const std::lock_guard lock(mutex_);
    BeginLocked();
  }

  void Send(const Json& event) {
    const std::lock_guard lock(mutex_);
    BeginLocked();
    exchange_.WriteChunk(event.dump() + "\n");
  }

  void End() {
    const std::lock_guard lock(mutex_);
    BeginLocked();
    exchange_.EndStream();
    ended_ = true;
  }

  bool ended() const { return ended_; }

 private:
  void BeginLocked() {
    if (!begun_) {
      begun_ = true;
      exchange_.StartStream(200);
    }
  }

  FakeExchange& exchange_;
  std::mutex mutex_;  // guards the exchange and begun_
  bool begun_ = false;
  std::atomic<bool> ended_ = false;
};

void Answer(FakeExchange& exchange, const ApiReply& reply) {
  if (reply.delay.count() > 0 && exchange.WaitClosed(reply.delay)) {
    return;
  }
  if (reply.drop) {
    exchange.Drop();
    return;
  }
  FakeExchange::Headers headers;
  if (reply.retry_after) {
    headers.emplace_back("Retry-After", std::to_string(reply.retry_after->count()));
  }
  exchange.Respond(reply.status, reply.body.dump(), "application/json", headers);
}

}  // namespace

FakeApiServer::FakeApiServer(std::optional<FakeTlsOptions> tls) : tls_(std::move(tls)) {
  Start();
}

FakeApiServer::~FakeApiServer() {
  Stop();
}

std::string FakeApiServer::url() const {
  return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
}

void FakeApiServer::Stop() {
  http_.reset();
}

void FakeApiServer::Start() {
  if (http_ == nullptr) {
    http_ = std::make_unique<FakeHttpServer>([this](FakeExchange& exchange) { Handle(exchange); },
                                             tls_, port_);
    port_ = http_->port();
  }
}

void FakeApiServer::DropConnections(bool reset) {
  http_->DropConnections(reset);
}

void FakeApiServer::Freeze() {
  http_->Freeze();
}

void FakeApiServer::Resume() {
  http_->Resume();
}

void FakeApiServer::Remember(const FakeRequest& request) {
  const std::lock_guard lock(mutex_);
  last_ = request;
}

std::string FakeApiServer::last_client_common_name() const {
  const std::lock_guard lock(mutex_);
  return last_.client_common_name;
}

std::vector<std::string> FakeApiServer::last_client_organizations() const {
  const std::lock_guard lock(mutex_);
  return last_.client_organizations;
}

std::string FakeApiServer::last_authorization() const {
  const std::lock_guard lock(mutex_);
  const auto found = last_.headers.find("authorization");
  return found != last_.headers.end() ? found->second : std::string();
}

void FakeApiServer::Handle(FakeExchange& exchange) {
  const FakeRequest& request = exchange.request();
  Remember(request);
  ApiCall call{.verb = request.method, .path = request.path, .query = request.query};
  const auto type = request.headers.find("content-type");
  call.content_type = type != request.headers.end() ? type->second : std::string();
  if (!request.body.empty()) {
    call.body = Json::parse(request.body, nullptr, false);
    if (call.body.is_discarded()) {
      Answer(exchange,
             {.status = 400, .body = ApiStatus(400, "BadRequest", "the body is not JSON")});
      return;
    }
  }
  if (FakeApiCore::IsWatch(call)) {
    HandleWatch(exchange, call);
  } else {
    Answer(exchange, core_.Serve(call));
  }
}

void FakeApiServer::HandleWatch(FakeExchange& exchange, const ApiCall& call) {
  WatchAnswer answer(exchange);
  uint64_t id = 0;
  const ApiReply reply = core_.Watch(
      call, [&](const Json& event) { answer.Send(event); }, [&] { answer.End(); }, id);
  if (reply.drop || reply.status != 200) {
    Answer(exchange, reply);
    return;
  }
  answer.Begin();
  const auto asked = call.query.find("timeoutSeconds");
  const auto end =
      std::chrono::steady_clock::now() +
      std::chrono::seconds(asked != call.query.end() ? std::stoi(asked->second) : 1800);
  bool closed = false;
  while (!closed && !answer.ended() && std::chrono::steady_clock::now() < end) {
    closed = exchange.WaitClosed(kEndPoll);
  }
  core_.Unwatch(id);
  if (!closed && !answer.ended()) {
    answer.End();
  }
}

}  // namespace farlet::testing
