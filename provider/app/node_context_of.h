#pragma once

#include "provider/app/config.h"
#include "provider/node/capacity.h"
#include "provider/pod/node_context.h"

#include <string>

namespace farlet::app {

// What pods are told of the node that `config` describes.
pod::NodeContext NodeContextOf(const NodeConfig& config,
                               const std::string& ip,
                               const node::Capacity& capacity);

}  // namespace farlet::app
