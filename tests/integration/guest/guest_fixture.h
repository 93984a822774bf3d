#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/result.h"
#include "runtime/ttrpc/client.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace farlet::guest {

// How a process ended and what it wrote.
struct Outcome {
  uint32_t status = 0;
  std::string out;
  std::string err;
};

// The agent outside a VM, with a busybox image below its share; needs root.
class GuestTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  template <class Rep, class Req>
  Result<Rep> Call(const std::string& method,
                   const Req& request,
                   std::chrono::milliseconds timeout = std::chrono::seconds(30)) {
    return client_->CallAndWait<Req, Rep>("farlet.guest.v1.Agent", method, request, timeout);
  }

  // The same without waiting: answers come on another thread.
  template <class Rep, class Req>
  void CallLater(const std::string& method, const Req& request, Callback<Rep> done) {
    client_->Call<Req, Rep>("farlet.guest.v1.Agent", method, request, std::chrono::seconds(30),
                            std::move(done));
  }

  Status Prepare(v1::PrepareRequest request = {});

  // A container of the image that runs `args`, with what CRI gives everybody: proc, dev, sysfs.
  static v1::CreateContainerRequest MakeContainer(const std::string& id,
                                                  const std::vector<std::string>& args);
  // `script` for busybox's sh.
  static v1::CreateContainerRequest MakeShell(const std::string& id, const std::string& script);
  static v1::Process MakeProcess(const std::vector<std::string>& args);

  Result<uint32_t> Create(const v1::CreateContainerRequest& request);
  Status Start(const std::string& id);
  Result<uint32_t> Exec(const std::string& id,
                        const std::string& exec_id,
                        const v1::Process& process);
  Result<v1::WaitResponse> Wait(const std::string& id, const std::string& exec_id = "");
  Status Signal(const std::string& id, int signal, const std::string& exec_id = "");
  Status Delete(const std::string& id);
  Result<v1::ReadOutputResponse> Read(const std::string& id,
                                      unsigned stream,
                                      const std::string& exec_id = "");
  Status Write(const std::string& id, const std::string& data, const std::string& exec_id = "");
  // Everything up to the end of the stream.
  std::string ReadAll(const std::string& id, unsigned stream, const std::string& exec_id = "");
  // Reads stdout until it contains `text`; what came.
  std::string ReadUntil(const std::string& id,
                        const std::string& text,
                        const std::string& exec_id = "");

  // Create, start, wait, read, delete.
  Result<Outcome> Run(const v1::CreateContainerRequest& request);
  Result<Outcome> RunExec(const std::string& id, const v1::Process& process);

  const std::string& root() const { return root_; }

  // Of the process that was started; the agent itself is its child.
  pid_t agent_pid() const { return agent_; }

  // Waits until the agent's process has ended by itself; its exit code.
  int WaitForAgent();

  static const std::vector<std::string>& AllCapabilities();

 private:
  void MakeImage() const;

  std::string root_;
  std::string socket_;
  pid_t agent_ = -1;
  boost::asio::io_context context_;
  std::unique_ptr<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::thread thread_;
  std::shared_ptr<ttrpc::Client> client_;
  int execs_ = 0;
};

}  // namespace farlet::guest
