#pragma once

#include "runtime/base/result.h"

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace farlet::cri {

// A lazily connected channel to "unix:///absolute/path" (or "unix:/path", or the bare path).
// Errors: kInvalidArgument naming the endpoint. A socket that nobody listens on shows at the first
// call.
Result<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& endpoint);

}  // namespace farlet::cri
