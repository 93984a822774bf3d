// However a stream of bytes is cut, the same frames come out, none larger than allowed.

#include "runtime/ttrpc/envelope.h"
#include "runtime/ttrpc/frame.h"
#include "tests/fuzz/fuzz.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::ttrpc {
namespace {

constexpr size_t kMaxPayload = 300;

struct Outcome {
  std::vector<Frame> frames;
  std::string error;
  bool boundary = false;
};

Outcome Decode(std::string_view input, size_t step) {
  FrameDecoder decoder(kMaxPayload);
  Outcome outcome;
  while (!input.empty() && outcome.error.empty()) {
    std::string_view piece = input.substr(0, step);
    input.remove_prefix(piece.size());
    while (true) {
      auto frame = decoder.Take(piece);
      if (!frame) {
        outcome.error = frame.error().message;
        break;
      }
      if (!*frame) {
        FUZZ_CHECK(piece.empty());
        break;
      }
      FUZZ_CHECK((*frame)->payload.size() <= kMaxPayload);
      FUZZ_CHECK(!(*frame)->oversized || (*frame)->payload.empty());
      outcome.frames.push_back(std::move(**frame));
    }
  }
  outcome.boundary = decoder.AtBoundary();
  return outcome;
}

bool Same(const Frame& a, const Frame& b) {
  return a.stream == b.stream && a.type == b.type && a.flags == b.flags &&
         a.oversized == b.oversized && a.payload == b.payload;
}

void CheckEnvelope(const Frame& frame) {
  const auto request = DecodeRequest(frame.payload);
  if (request) {
    const auto again = EncodeRequest(frame.stream, *request, request->timeout, 1u << 20);
    FUZZ_CHECK(again);
    const auto same = DecodeRequest(std::string_view(*again).substr(kHeaderBytes));
    FUZZ_CHECK(same && same->service == request->service && same->payload == request->payload &&
               same->metadata == request->metadata && same->timeout == request->timeout);
  }
  const auto reply = DecodeReply(frame.payload);
  if (!reply) {
    const std::string& message = reply.error().message;
    FUZZ_CHECK(message.size() <= 4096 && CleanMessage(message) == message);
  }
}

}  // namespace
}  // namespace farlet::ttrpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace farlet::ttrpc;
  google::protobuf::SetLogHandler(nullptr);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Outcome whole = Decode(input, std::max<size_t>(size, 1));
  for (const size_t step : {1, 7, 64}) {
    const Outcome cut = Decode(input, step);
    FUZZ_CHECK(std::equal(whole.frames.begin(), whole.frames.end(), cut.frames.begin(),
                          cut.frames.end(), Same));
    FUZZ_CHECK(whole.error == cut.error && whole.boundary == cut.boundary);
  }
  for (const Frame& frame : whole.frames) {
    CheckEnvelope(frame);
  }
  return 0;
}
