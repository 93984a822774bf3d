#pragma once

#include "runtime/base/result.h"
#include "runtime/ttrpc/types.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Internal: what is inside of a frame. Encoders make whole frames.
namespace farlet::ttrpc {

// Errors: kResourceExhausted when the payload of the frame is larger than `max_bytes`.
Result<std::string> EncodeRequest(uint32_t stream,
                                  Request request,
                                  std::chrono::nanoseconds timeout,
                                  size_t max_bytes);

// A result too large becomes kResourceExhausted for the caller.
std::string EncodeReply(uint32_t stream, Result<std::string> result, size_t max_bytes);

// Errors: kInvalidArgument.
Result<Request> DecodeRequest(std::string_view payload);

// The other side's error, or kInternal when the bytes make no sense.
Result<std::string> DecodeReply(std::string_view payload);

// `text` as valid UTF-8 of at most 4 KiB: what is not becomes '?'. Without this a Go peer refuses
// the whole answer, and a hostile one fills our log.
std::string CleanMessage(std::string_view text);

}  // namespace farlet::ttrpc
