// Whatever a caller sends, it gets well-formed answers to odd and even streams, the server stays
// within its limits, and the connection ends once, with all its calls cancelled.

#include "proto/ttrpc/ttrpc.pb.h"
#include "runtime/ttrpc/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ttrpc/socket_peer.h"

#include <deque>
#include <string>
#include <string_view>

namespace farlet::ttrpc {
namespace {

constexpr Limits kLimits{.max_received = 1000,
                         .max_sent = 1000,
                         .max_open_calls = 4,
                         .max_open_bytes = 2000,
                         .max_queued_bytes = 20000};

class Fuzzed {
 public:
  Fuzzed() {
    server_.Register("s", "h", [this](const Request& request, Reply reply) {
      FUZZ_CHECK(!request.cancellation.cancelled());
      ++open_;
      FUZZ_CHECK(open_ <= static_cast<int>(kLimits.max_open_calls));
      request.cancellation.OnCancel([this] { ++cancelled_; });
      held_.push_back(std::move(reply));
    });
    server_.Register("s", "r", [this](Request request, const Reply& reply) {
      if (!held_.empty()) {
        --open_;
        held_.front()(std::string(900, 'x'));
        held_.pop_front();
      }
      reply(std::move(request.payload));
    });
    server_.Method<wire::KeyValue, wire::KeyValue>(
        "s", "t", [](const wire::KeyValue& pair, const Server::TypedReply<wire::KeyValue>& reply) {
          if (pair.key().empty()) {
            reply(NotFound(pair.value()));
          } else {
            reply(pair);
          }
        });
    server_.Serve(peer_.TakeOther(), [this](const Status&) { ++ended_; });
    peer_.Poll();
  }

  void Run(std::string_view input) {
    const size_t step = input.empty() ? 1 : 1 + static_cast<unsigned char>(input[0]);
    input.remove_prefix(input.empty() ? 0 : 1);
    while (!input.empty() && ended_ == 0) {
      peer_.Send(input.substr(0, step));
      input.remove_prefix(std::min(step, input.size()));
      peer_.Poll();
      ReadAnswers();
    }
    peer_.End();
    peer_.Poll();
    FUZZ_CHECK(ended_ == 1);
    held_.clear();
    peer_.Poll();
  }

 private:
  void ReadAnswers() {
    while (const auto frame = peer_.Receive()) {
      wire::Response response;
      FUZZ_CHECK(frame->type == kTypeResponse && frame->flags == 0);
      FUZZ_CHECK(frame->payload.size() <= 1u << 14);
      FUZZ_CHECK(response.ParseFromString(frame->payload));
      FUZZ_CHECK(response.status().code() >= 0 && response.status().code() <= 16);
    }
  }

  int open_ = 0;
  int cancelled_ = 0;
  int ended_ = 0;
  std::deque<Reply> held_;
  SocketPeer peer_;
  Server server_{peer_.context(), kLimits};
};

}  // namespace
}  // namespace farlet::ttrpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  farlet::ttrpc::Fuzzed().Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
