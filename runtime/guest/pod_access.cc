// What reaches into the pod beside its containers: replicated volumes and port-forward.
#include "runtime/guest/agent.h"
#include "runtime/guest/checks.h"

#include <utility>

namespace farlet::guest {

Result<v1::SyncVolumeResponse> Agent::SyncVolume(const v1::SyncVolumeRequest& request) {
  FARLET_TRY(CheckVolume(request));
  FARLET_TRY(CheckPrepared());
  FARLET_TRY(volumes_.Sync(request));
  return v1::SyncVolumeResponse();
}

void Agent::OpenTcp(const v1::OpenTcpRequest& request, const Answer<v1::OpenTcpResponse>& answer) {
  connections_.Open(request.port(), request.address(), [answer](Result<uint64_t> id) {
    if (!id) {
      answer(std::move(id).error());
      return;
    }
    v1::OpenTcpResponse response;
    response.set_connection_id(*id);
    answer(std::move(response));
  });
}

void Agent::ReadTcp(const ttrpc::Request& call,
                    const v1::ReadTcpRequest& request,
                    const Answer<v1::ReadTcpResponse>& answer) {
  auto reader = connections_.Reader(request.connection_id());
  if (!reader) {
    answer(std::move(reader).error());
    return;
  }
  (*reader)->Read(request.max_bytes(), call.cancellation, [answer](Result<Chunk> chunk) {
    if (!chunk) {
      answer(std::move(chunk).error());
      return;
    }
    v1::ReadTcpResponse response;
    response.set_data(std::move(chunk->data));
    response.set_eof(chunk->eof);
    answer(std::move(response));
  });
}

void Agent::WriteTcp(v1::WriteTcpRequest request, const Answer<v1::WriteTcpResponse>& answer) {
  auto writer = connections_.Writer(request.connection_id());
  if (!writer) {
    answer(std::move(writer).error());
    return;
  }
  const size_t size = request.data().size();
  if (size > kMaxChunk) {
    answer(MakeError(Code::kResourceExhausted, "write to a connection: more than 64 KiB at once"));
    return;
  }
  (*writer)->Write(std::move(*request.mutable_data()), [answer, size](Status written) {
    if (!written) {
      answer(std::move(written).error());
      return;
    }
    v1::WriteTcpResponse response;
    response.set_written(static_cast<uint32_t>(size));
    answer(std::move(response));
  });
}

Result<v1::CloseTcpResponse> Agent::CloseTcp(const v1::CloseTcpRequest& request) {
  connections_.Close(request.connection_id(), request.half());
  return v1::CloseTcpResponse();
}

}  // namespace farlet::guest
