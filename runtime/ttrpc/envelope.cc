#include "runtime/ttrpc/envelope.h"

#include "proto/ttrpc/ttrpc.pb.h"
#include "runtime/ttrpc/frame.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace farlet::ttrpc {
namespace {

constexpr size_t kMaxMessage = 4096;
constexpr size_t kMaxPairs = 128;

Result<std::string> EncodeFrame(uint32_t stream,
                                uint8_t type,
                                const google::protobuf::MessageLite& message,
                                size_t max_bytes) {
  const size_t size = message.ByteSizeLong();
  if (size > std::min<size_t>(max_bytes, std::numeric_limits<int32_t>::max())) {
    return MakeError(Code::kResourceExhausted, "a message of " + std::to_string(size) +
                                                   " bytes, of which " + std::to_string(max_bytes) +
                                                   " are allowed");
  }
  std::string frame(kHeaderBytes + size, '\0');
  WriteHeader(frame.data(), static_cast<uint32_t>(size), stream, type);
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(frame.data() + kHeaderBytes));
  return frame;
}

// An empty pair takes two bytes on the wire and fifty times as much in memory.
bool HasTooManyPairs(std::string_view payload) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const uint8_t*>(payload.data()),
                                               static_cast<int>(payload.size()));
  size_t pairs = 0;
  while (const uint32_t tag = input.ReadTag()) {
    if (WireFormatLite::GetTagFieldNumber(tag) == wire::Request::kMetadataFieldNumber &&
        ++pairs > kMaxPairs) {
      return true;
    }
    if (!WireFormatLite::SkipField(&input, tag)) {
      return false;  // the parser will say so
    }
  }
  return false;
}

Code ToCode(int32_t code) {
  const bool known = code >= static_cast<int>(Code::kCancelled) &&
                     code <= static_cast<int>(Code::kUnauthenticated);
  return known ? static_cast<Code>(code) : Code::kUnknown;
}

// How many bytes at the front of `text` are one valid UTF-8 sequence; 0: none.
size_t SequenceLength(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) {
    return 1;
  }
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) {
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) ||
      (lead == 0xf0 && at(1) < 0x90) || (lead == 0xf4 && at(1) > 0x8f)) {
    return 0;
  }
  return length;
}

wire::Response ErrorResponse(const Error& error) {
  wire::Response response;
  response.mutable_status()->set_code(static_cast<int>(error.code));
  response.mutable_status()->set_message(CleanMessage(error.message));
  return response;
}

}  // namespace

Result<std::string> EncodeRequest(uint32_t stream,
                                  Request request,
                                  std::chrono::nanoseconds timeout,
                                  size_t max_bytes) {
  wire::Request message;
  message.set_service(std::move(request.service));
  message.set_method(std::move(request.method));
  message.set_payload(std::move(request.payload));
  message.set_timeout_nano(timeout.count());
  for (auto& [key, value] : request.metadata) {
    wire::KeyValue* pair = message.add_metadata();
    pair->set_key(std::move(key));
    pair->set_value(std::move(value));
  }
  return EncodeFrame(stream, kTypeRequest, message, max_bytes);
}

std::string EncodeReply(uint32_t stream, Result<std::string> result, size_t max_bytes) {
  wire::Response response;
  if (result) {
    response.set_payload(std::move(*result));
  } else {
    response = ErrorResponse(result.error());
  }
  auto frame = EncodeFrame(stream, kTypeResponse, response, max_bytes);
  if (frame) {
    return std::move(*frame);
  }
  const Error error = Wrap("the answer", std::move(frame).error());
  return EncodeFrame(stream, kTypeResponse, ErrorResponse(error), kMaxMessage * 2).value();
}

Result<Request> DecodeRequest(std::string_view payload) {
  if (HasTooManyPairs(payload)) {
    return InvalidArgument("parse the request: more than " + std::to_string(kMaxPairs) +
                           " pairs of metadata");
  }
  FARLET_ASSIGN(wire::Request message, ParseMessage<wire::Request>(payload, "the request"));
  Request request{.service = std::move(*message.mutable_service()),
                  .method = std::move(*message.mutable_method()),
                  .payload = std::move(*message.mutable_payload()),
                  .timeout = std::chrono::nanoseconds(message.timeout_nano())};
  for (wire::KeyValue& pair : *message.mutable_metadata()) {
    request.metadata.emplace_back(std::move(*pair.mutable_key()), std::move(*pair.mutable_value()));
  }
  return request;
}

Result<std::string> DecodeReply(std::string_view payload) {
  wire::Response response;
  if (!response.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Internal("the answer is not a valid message");
  }
  if (response.status().code() != 0) {
    return MakeError(ToCode(response.status().code()), CleanMessage(response.status().message()));
  }
  return std::move(*response.mutable_payload());
}

std::string CleanMessage(std::string_view text) {
  std::string clean;
  clean.reserve(std::min(text.size(), kMaxMessage));
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    if (clean.size() + std::max<size_t>(length, 1) > kMaxMessage) {
      break;
    }
    if (length == 0) {
      clean += '?';
    } else {
      clean += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return clean;
}

}  // namespace farlet::ttrpc
