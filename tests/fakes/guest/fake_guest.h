#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/ttrpc/server.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace farlet::testing {

// A guest agent without a guest: a real ttRPC server on one end of a socket pair, with processes
// that only pretend. What one does is its first argument:
//   echo TEXT…   writes the words to stdout and ends with 0
//   err TEXT     writes to stderr and ends with 0
//   cat          writes its input to stdout until that is closed
//   sleep        runs until a signal
//   exit N       ends with N
//   missing      cannot be started
// Thread safe.
class FakeGuest {
 public:
  FakeGuest();
  ~FakeGuest();

  FakeGuest(const FakeGuest&) = delete;
  FakeGuest& operator=(const FakeGuest&) = delete;

  // The host's end; once.
  UniqueFd TakeAgent();

  // `method` gets no answer from now on.
  void Silence(const std::string& method);
  // `method` is answered with this error from now on.
  void Refuse(const std::string& method, const Error& error);
  // A process of the container was killed for lack of memory; with `kill` it is the first.
  void RunOutOfMemory(const std::string& container, bool kill);
  // Ends the connection, as a VM that dies does.
  void Die();

  // Requests that came so far.
  std::vector<guest::v1::PrepareRequest> prepared();
  std::vector<guest::v1::CreateContainerRequest> created();
  std::vector<guest::v1::SyncVolumeRequest> synced();
  std::vector<guest::v1::ResizeTerminalRequest> resized();
  std::vector<guest::v1::UpdateRequest> updated();
  std::set<std::string> containers();
  // Waits until `method` was called `count` times in all; false after 10 s.
  bool WaitForCalls(const std::string& method, int count);

 private:
  struct Process {
    guest::v1::Process spec;
    bool started = false;
    bool ended = false;
    bool oom_killed = false;
    uint32_t status = 0;
    std::map<uint32_t, std::string> output;  // by stream
    std::map<uint32_t, std::function<void()>> reader;
    std::vector<std::function<void()>> waiting;
  };

  using Key = std::pair<std::string, std::string>;

  template <class Req, class Rep>
  void Add(const std::string& method,
           std::function<void(const Req&, std::function<void(Result<Rep>)>)> handler);
  void AddContainers();
  void AddStreams();
  void AddControl();
  void Run(Process& process);
  void End(Process& process, uint32_t status);
  void Wake(Process& process);
  Process* Find(const std::string& container, const std::string& exec);
  void TellEvents();

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<ttrpc::Server> server_;
  UniqueFd host_end_;

  std::mutex mutex_;  // guards all below
  std::condition_variable called_;
  std::map<std::string, int> calls_;
  std::set<std::string> silent_;
  std::map<std::string, Error> refused_;
  std::map<Key, std::shared_ptr<Process>> processes_;
  std::vector<guest::v1::PrepareRequest> prepared_;
  std::vector<guest::v1::CreateContainerRequest> created_;
  std::vector<guest::v1::SyncVolumeRequest> synced_;
  std::vector<guest::v1::ResizeTerminalRequest> resized_;
  std::vector<guest::v1::UpdateRequest> updated_;
  std::deque<std::string> oom_;
  std::function<void(Result<guest::v1::NextEventsResponse>)> event_reader_;

  std::thread thread_;
};

}  // namespace farlet::testing
