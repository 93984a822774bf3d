#include "runtime/cri/convert.h"
#include "runtime/cri/deadlines.h"
#include "runtime/cri/grpc_client_impl.h"

#include <algorithm>
#include <utility>

namespace farlet::cri {

void GrpcClient::ExecSync(const ContainerId& id,
                          const std::vector<std::string>& command,
                          seconds timeout,
                          Callback<ExecSyncResult> done) {
  const seconds allowed = std::max(timeout, seconds(0));
  pb::ExecSyncRequest request;
  request.set_container_id(id.value);
  request.mutable_cmd()->Assign(command.begin(), command.end());
  request.set_timeout(allowed.count());
  StartUnary<ExecSyncResult>(
      scope_, "ExecSync", runtime_->async(), &RuntimeStub::ExecSync, std::move(request),
      allowed.count() == 0 ? deadlines::kNone : deadlines::Longer(allowed),
      [](const pb::ExecSyncResponse& response) -> Result<ExecSyncResult> {
        return ExecSyncResult{.stdout_text = response.stdout(),
                              .stderr_text = response.stderr(),
                              .exit_code = response.exit_code()};
      },
      std::move(done));
}

void GrpcClient::Exec(const StreamOptions& options, Callback<std::string> done) {
  pb::ExecRequest request;
  request.set_container_id(options.container.value);
  request.mutable_cmd()->Assign(options.command.begin(), options.command.end());
  request.set_tty(options.tty);
  request.set_stdin(options.stdin_open);
  request.set_stdout(options.stdout_open);
  request.set_stderr(options.stderr_open);
  StartUnary<std::string>(
      scope_, "Exec", runtime_->async(), &RuntimeStub::Exec, std::move(request), deadlines::kCall,
      [](const pb::ExecResponse& response) { return RequireText(response.url(), "Exec", "url"); },
      std::move(done));
}

void GrpcClient::Attach(const StreamOptions& options, Callback<std::string> done) {
  pb::AttachRequest request;
  request.set_container_id(options.container.value);
  request.set_tty(options.tty);
  request.set_stdin(options.stdin_open);
  request.set_stdout(options.stdout_open);
  request.set_stderr(options.stderr_open);
  StartUnary<std::string>(
      scope_, "Attach", runtime_->async(), &RuntimeStub::Attach, std::move(request),
      deadlines::kCall,
      [](const pb::AttachResponse& response) {
        return RequireText(response.url(), "Attach", "url");
      },
      std::move(done));
}

void GrpcClient::PortForward(const SandboxId& id,
                             const std::vector<int32_t>& ports,
                             Callback<std::string> done) {
  pb::PortForwardRequest request;
  request.set_pod_sandbox_id(id.value);
  request.mutable_port()->Assign(ports.begin(), ports.end());
  StartUnary<std::string>(
      scope_, "PortForward", runtime_->async(), &RuntimeStub::PortForward, std::move(request),
      deadlines::kCall,
      [](const pb::PortForwardResponse& response) {
        return RequireText(response.url(), "PortForward", "url");
      },
      std::move(done));
}

}  // namespace farlet::cri
