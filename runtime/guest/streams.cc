#include "runtime/guest/agent.h"

#include <utility>

namespace farlet::guest {

void Agent::ReadOutput(const ttrpc::Request& call,
                       const v1::ReadOutputRequest& request,
                       const Answer<v1::ReadOutputResponse>& answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process) {
    answer(std::move(process).error());
    return;
  }
  (*process)->ReadOutput(request.stream(), request.max_bytes(), call.cancellation,
                         [answer](Result<Chunk> chunk) {
                           if (!chunk) {
                             answer(std::move(chunk).error());
                             return;
                           }
                           v1::ReadOutputResponse response;
                           response.set_data(std::move(chunk->data));
                           response.set_eof(chunk->eof);
                           answer(std::move(response));
                         });
}

void Agent::WriteInput(v1::WriteInputRequest request,
                       const Answer<v1::WriteInputResponse>& answer) {
  auto process = Find(request.container_id(), request.exec_id());
  if (!process) {
    answer(std::move(process).error());
    return;
  }
  const size_t size = request.data().size();
  if (size > kMaxChunk) {
    answer(MakeError(Code::kResourceExhausted, "write input: more than 64 KiB at once"));
    return;
  }
  (*process)->WriteInput(std::move(*request.mutable_data()), [answer, size](Status written) {
    if (!written) {
      answer(std::move(written).error());
      return;
    }
    v1::WriteInputResponse response;
    response.set_written(static_cast<uint32_t>(size));
    answer(std::move(response));
  });
}

Result<v1::CloseInputResponse> Agent::CloseInput(const v1::CloseInputRequest& request) {
  FARLET_ASSIGN(const auto process, Find(request.container_id(), request.exec_id()));
  process->CloseInput();
  return v1::CloseInputResponse();
}

Result<v1::ResizeTerminalResponse> Agent::ResizeTerminal(const v1::ResizeTerminalRequest& request) {
  FARLET_ASSIGN(const auto process, Find(request.container_id(), request.exec_id()));
  FARLET_TRY(process->Resize(request.rows(), request.columns()));
  return v1::ResizeTerminalResponse();
}

}  // namespace farlet::guest
