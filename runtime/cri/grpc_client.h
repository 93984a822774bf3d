#pragma once

#include "runtime/base/result.h"
#include "runtime/cri/client.h"

#include <memory>
#include <string>

namespace farlet::cri {

// A client of the runtime at "unix:///path/of/containerd.sock". Does no I/O: the connection is made
// by the first call and remade within a second or so after the runtime's restart; until then calls
// are kUnavailable. Error: kInvalidArgument naming the endpoint.
Result<std::unique_ptr<Client>> ConnectGrpcClient(const std::string& endpoint);

}  // namespace farlet::cri
