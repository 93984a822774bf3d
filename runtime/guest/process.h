#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/guest/child.h"
#include "runtime/guest/launch.h"
#include "runtime/guest/stream.h"

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::ttrpc {
class Cancellation;
}

namespace farlet::guest {

struct Exit {
  // 128 + signal when a signal killed it.
  uint32_t status = 0;
  int64_t at_ns = 0;
};

// A process of a container, from its birth on until it is forgotten: pid, streams, exit.
class Process : public std::enable_shared_from_this<Process> {
 public:
  using Waiter = std::function<void(const Exit& exit)>;

  Process(boost::asio::io_context& context, std::string container_id, std::string exec_id)
      : context_(context), container_id_(std::move(container_id)), exec_id_(std::move(exec_id)) {}

  const std::string& container_id() const { return container_id_; }

  const std::string& exec_id() const { return exec_id_; }

  pid_t pid() const { return pid_; }

  bool exited() const { return exited_; }

  const Exit& exit() const { return exit_; }

  // Makes the child and its pipes; afterwards pid() and link() are set.
  Status Launch(const LaunchSpec& spec,
                bool terminal,
                bool wants_input,
                const std::function<void(const ChildStdio&, ChildSocket&)>& child);

  // Follows the child until it is ready (`until_ready`) or has exec'ed, taking its terminal on the
  // way. Errors: the child's own, worded by it.
  void Follow(bool until_ready, StatusCallback done);
  // Lets a ready child exec, and follows it.
  void Go(StatusCallback done);

  // A pidfd, for the namespaces of the process. Errors: kFailedPrecondition when it has ended.
  Result<UniqueFd> Open() const;

  // Success for one that has ended.
  Status Signal(int signal) const;

  // From the reaper.
  void Ended(int wait_status);
  // Runs at once when the process has ended.
  void Wait(const ttrpc::Cancellation& cancellation, Waiter waiter);

  void ReadOutput(unsigned stream,
                  size_t max,
                  const ttrpc::Cancellation& cancellation,
                  Callback<Chunk> done);
  void WriteInput(std::string data, StatusCallback done);
  void CloseInput();
  Status Resize(unsigned rows, unsigned columns);
  // Ends all calls that wait.
  void CloseStreams();

 private:
  void Report(bool until_ready, bool ready, Result<ChildReport> report, const StatusCallback& done);
  Status TakeTerminal(UniqueFd master);

  boost::asio::io_context& context_;
  const std::string container_id_;
  const std::string exec_id_;
  pid_t pid_ = -1;
  bool terminal_ = false;
  bool exited_ = false;
  Exit exit_;
  std::vector<std::pair<uint64_t, Waiter>> waiters_;
  uint64_t next_waiter_ = 0;
  std::shared_ptr<ChildLink> link_;
  std::shared_ptr<OutputStream> out_;
  std::shared_ptr<OutputStream> err_;
  std::shared_ptr<InputStream> in_;
  // The terminal's, for its size; the streams have their own.
  UniqueFd master_;
};

}  // namespace farlet::guest
