#pragma once

#include "runtime/base/error.h"

#include <grpcpp/support/status.h>

#include <string_view>

namespace farlet::cri {

// The error of a failed call to `endpoint`. Codes are kept. kUnknown is what containerd answers for
// most failures (CNI not ready, snapshotter busy, …), so it counts as retryable.
// `call` is the method's name.
Error FromGrpcStatus(const grpc::Status& status, std::string_view call, std::string_view endpoint);

}  // namespace farlet::cri
