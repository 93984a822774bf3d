#include "runtime/cri/grpc_client.h"

#include "runtime/base/log.h"
#include "runtime/cri/channel.h"
#include "runtime/cri/grpc_client_impl.h"
#include "runtime/cri/lost_task.h"

#include <optional>
#include <utility>

namespace farlet::cri {

GrpcClient::GrpcClient(std::string endpoint, const std::shared_ptr<grpc::Channel>& channel)
    : scope_{.endpoint = std::move(endpoint)},
      runtime_(pb::RuntimeService::NewStub(channel)),
      image_(pb::ImageService::NewStub(channel)),
      tasks_(::containerd::services::tasks::v1::Tasks::NewStub(channel)) {}

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

void GrpcClient::RemoveBeyondLostTasks(Remove remove, int tries, StatusCallback done) {
  StatusCallback next = [this, remove, tries, done = std::move(done)](Result<void> result) mutable {
    const auto lost = result ? std::nullopt : LostTaskOf(result.error());
    if (!lost || tries == 0) {
      done(std::move(result));
      return;
    }
    log::Warning("ending a task that the runtime has lost", {{"container", *lost}});
    EndTask(scope_, *tasks_, *lost,
            [this, remove = std::move(remove), tries,
             done = std::move(done)](const Result<void>& ended) mutable {
              if (ended) {
                RemoveBeyondLostTasks(std::move(remove), tries - 1, std::move(done));
              } else {
                done(Wrap("end a task that the runtime has lost", ended.error()));
              }
            });
  };
  remove(std::move(next));
}

Result<std::unique_ptr<Client>> ConnectGrpcClient(const std::string& endpoint) {
  FARLET_ASSIGN(const auto channel, MakeChannel(endpoint));
  return std::make_unique<GrpcClient>(endpoint, channel);
}

}  // namespace farlet::cri
