#include "runtime/cri/grpc_client.h"

#include "runtime/cri/channel.h"
#include "runtime/cri/grpc_client_impl.h"

#include <utility>

namespace farlet::cri {

GrpcClient::GrpcClient(std::string endpoint, const std::shared_ptr<grpc::Channel>& channel)
    : scope_{.endpoint = std::move(endpoint)},
      runtime_(pb::RuntimeService::NewStub(channel)),
      image_(pb::ImageService::NewStub(channel)) {}

GrpcClient::~GrpcClient() {
  scope_.gate.Close();
}

StatusCallback IgnoreNotFound(StatusCallback done) {
  return [done = std::move(done)](Result<void> result) {
    if (!result && result.error().code == Code::kNotFound) {
      done({});
    } else {
      done(std::move(result));
    }
  };
}

Result<std::unique_ptr<Client>> ConnectGrpcClient(const std::string& endpoint) {
  FARLET_ASSIGN(const auto channel, MakeChannel(endpoint));
  return std::make_unique<GrpcClient>(endpoint, channel);
}

}  // namespace farlet::cri
