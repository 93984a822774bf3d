#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace farlet::guest {

// A child is born by clone3 as a copy of the agent, prepares itself and ends in execve or _exit.
// Over a socket, which exec closes, it tells how far it got.

// What a child reports. kReady: all is done but the exec. kTerminal: its terminal's master, `fd`.
// kEnded: nothing more comes, which after kReady means that the exec happened (or the child died).
struct ChildReport {
  enum class Kind { kTerminal, kReady, kEnded };
  Kind kind = Kind::kEnded;
  UniqueFd fd;
};

// The child's end.
class ChildSocket {
 public:
  explicit ChildSocket(UniqueFd socket) : socket_(std::move(socket)) {}

  void SendTerminal(int master);
  void SendReady();
  void SendError(const Error& error);
  // Blocks; false when the agent closed its end.
  bool WaitForGo();

 private:
  UniqueFd socket_;
};

// The agent's end. One Next at a time; destroyed, it forgets the callback.
class ChildLink : public std::enable_shared_from_this<ChildLink> {
 public:
  ChildLink(boost::asio::io_context& context, UniqueFd socket);
  ~ChildLink();

  ChildLink(const ChildLink&) = delete;
  ChildLink& operator=(const ChildLink&) = delete;

  // An error is what the child reported, or kDeadlineExceeded after `timeout`.
  void Next(std::chrono::milliseconds timeout, Callback<ChildReport> done);
  void Go();

 private:
  struct State;
  void Read();
  void Finish(Result<ChildReport> report);

  const std::unique_ptr<State> state_;
};

struct LaunchSpec {
  // CLONE_NEWNS and so on.
  uint64_t namespaces = 0;
  // Folder of the cgroup to be born in.
  int cgroup = -1;
  // PID namespace to be born in; -1: the agent's, or a new one by `namespaces`.
  int pid_namespace = -1;
  // The child has these descriptors of the agent's, standard streams and its socket; no other. It
  // must hold up nobody's end of input, nor give a container what is the agent's.
  std::vector<int> keep;
};

struct Launched {
  pid_t pid = -1;
  UniqueFd socket;
};

// `child` runs in the new process and must not return to the agent's code: it ends it with _exit.
Result<Launched> Launch(const LaunchSpec& spec, const std::function<void(ChildSocket&)>& child);

}  // namespace farlet::guest
