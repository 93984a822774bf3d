#include "tests/fuzz/guest/hostile_guest.h"

#include "proto/ttrpc/ttrpc.pb.h"

#include <algorithm>
#include <string>

namespace farlet::shim {
namespace {

enum How : int { kPayload, kError, kNothing, kBytes };

constexpr int kHows = 4;
constexpr int kCodes = 17;  // of gRPC
// The shim asks for events again and again.
constexpr int kMaxAnswers = 300;

}  // namespace

bool HostileGuest::Answer() {
  bool any = false;
  while (const auto frame = peer_.Receive()) {
    any = true;
    AnswerOne(frame->stream);
  }
  return any;
}

void HostileGuest::AnswerOne(uint32_t stream) {
  if (++answers_ > kMaxAnswers) {
    return;
  }
  if (input_.size() < 2) {
    SendResponse(stream, 0, "");
    return;
  }
  const int how = static_cast<unsigned char>(input_[0]);
  const std::string_view bytes = input_.substr(2, static_cast<unsigned char>(input_[1]));
  input_.remove_prefix(2 + bytes.size());
  switch (how % kHows) {
    case kPayload:
      SendResponse(stream, 0, bytes);
      break;
    case kError:
      SendResponse(stream, 1 + how / kHows % (kCodes - 1), bytes);
      break;
    case kNothing:
      break;
    default:
      peer_.Send(bytes);
  }
}

void HostileGuest::SendResponse(uint32_t stream, int code, std::string_view bytes) {
  ttrpc::wire::Response response;
  if (code == 0) {
    response.set_payload(std::string(bytes));
  } else {
    response.mutable_status()->set_code(code);
    response.mutable_status()->set_message(std::string(bytes));
  }
  const std::string body = response.SerializeAsString();
  std::string frame(ttrpc::kHeaderBytes, '\0');
  ttrpc::WriteHeader(frame.data(), static_cast<uint32_t>(body.size()), stream,
                     ttrpc::kTypeResponse);
  peer_.Send(frame + body);
}

}  // namespace farlet::shim
