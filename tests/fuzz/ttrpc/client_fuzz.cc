// Whatever a server sends, every call of the client ends exactly once.

#include "proto/ttrpc/ttrpc.pb.h"
#include "runtime/ttrpc/client.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/ttrpc/socket_peer.h"

#include <memory>
#include <string>
#include <string_view>

namespace farlet::ttrpc {
namespace {

constexpr std::chrono::milliseconds kNever{0};

void Run(std::string_view input) {
  int done = 0;
  int ended = 0;
  int calls = 0;
  SocketPeer peer;
  const auto client = Client::Over(peer.context(), peer.TakeOther(), {.max_received = 1000});
  client->OnEnd([&](const Error&) { ++ended; });
  const auto call = [&] {
    client->Call("s", "m", "payload", kNever, [&](const Result<std::string>& answer) {
      ++done;
      FUZZ_CHECK(!answer || answer->size() <= 1000);
    });
    client->Call<wire::KeyValue, wire::KeyValue>("s", "t", wire::KeyValue(), kNever,
                                                 [&](const Result<wire::KeyValue>&) { ++done; });
    calls += 2;
  };
  call();
  call();
  peer.Poll();
  const size_t step = input.empty() ? 1 : 1 + static_cast<unsigned char>(input[0]);
  input.remove_prefix(input.empty() ? 0 : 1);
  while (!input.empty() && ended == 0) {
    peer.Send(input.substr(0, step));
    input.remove_prefix(std::min(step, input.size()));
    peer.Poll();
    while (peer.Receive()) {
    }
  }
  peer.End();
  peer.Poll();
  FUZZ_CHECK(ended == 1);
  FUZZ_CHECK(done == calls);
  call();
  peer.Poll();
  FUZZ_CHECK(done == calls);
}

}  // namespace
}  // namespace farlet::ttrpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  farlet::ttrpc::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
