#include "runtime/shim/handshake.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/guest_agent.h"
#include "runtime/ttrpc/client.h"
#include "runtime/vm/files/message_stream.h"
#include "runtime/vm/files/session.h"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

namespace farlet::shim {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

constexpr uint32_t kGuestVersion = 1;

// The client makes its descriptor non-blocking, which is a property of what the copy shares.
class BlockingAgain {
 public:
  explicit BlockingAgain(int fd) : fd_(fd), flags_(::fcntl(fd, F_GETFL)) {}

  ~BlockingAgain() { ::fcntl(fd_, F_SETFL, flags_); }

  BlockingAgain(const BlockingAgain&) = delete;
  BlockingAgain& operator=(const BlockingAgain&) = delete;

 private:
  const int fd_;
  const int flags_;
};

// One call, over a connection of its own.
template <class Response, class Request>
Result<Response> Ask(int agent, const char* method, const Request& request, Deadline deadline) {
  const BlockingAgain restore(agent);
  UniqueFd copy(::fcntl(agent, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) {
    return ErrnoError(errno, "duplicate a descriptor");
  }
  boost::asio::io_context io;
  const auto client = ttrpc::Client::Over(io, std::move(copy));
  std::optional<Result<Response>> answer;
  client->Call<Request, Response>(kAgentService, method, request, std::chrono::milliseconds(0),
                                  [&](Result<Response> reply) {
                                    answer = std::move(reply);
                                    io.stop();
                                  });
  io.run_until(deadline);
  // The call's callback refers to what is here: it must have run before that goes.
  const bool answered = answer.has_value();
  if (!answered) {
    client->Close();
    io.restart();
    io.poll();
    return MakeError(Code::kDeadlineExceeded, "the guest's agent does not answer");
  }
  return Annotate(*std::move(answer), "the guest's agent");
}

Status Hello(int agent, Deadline deadline) {
  guest::v1::HelloRequest request;
  request.set_version(kGuestVersion);
  FARLET_ASSIGN(const auto answer,
                Ask<guest::v1::HelloResponse>(agent, "Hello", request, deadline));
  if (answer.version() != kGuestVersion) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("the guest's agent speaks version {}, not {}", answer.version(),
                                 kGuestVersion));
  }
  return {};
}

Status Furnish(const vm::Handshake::Guest& guest, Deadline deadline) {
  guest::v1::FurnishRequest request;
  if (guest.has_disk) {
    request.set_writable_device(vm::kWritableDevice);
  }
  request.set_settle(guest.is_template);
  FARLET_TRY(Ask<guest::v1::FurnishResponse>(guest.agent, "Furnish", request, deadline));
  return {};
}

// An empty tree: INIT is the only request that is answered from it.
class EmptyTree {
 public:
  EmptyTree() {
    std::string name = (std::filesystem::temp_directory_path() / "farlet-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) {
      folder_ = name;
      std::filesystem::create_directory(folder_ / "s", ignored_);
    }
  }

  ~EmptyTree() {
    if (!folder_.empty()) {
      std::filesystem::remove_all(folder_, ignored_);
    }
  }

  EmptyTree(const EmptyTree&) = delete;
  EmptyTree& operator=(const EmptyTree&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::error_code ignored_;
};

Status AnswerFuseInit(int files, Deadline deadline) {
  const EmptyTree tree;
  files::Session::Roots roots{
      .tree = UniqueFd(::open(tree.folder().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      .proc_fds = UniqueFd(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC))};
  FARLET_ASSIGN(const auto session, files::Session::Create(std::move(roots), {}));
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  pollfd waiting{.fd = files, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) <= 0) {
    return MakeError(Code::kDeadlineExceeded, "the guest does not mount its share");
  }
  files::MessageStream stream(files);
  FARLET_ASSIGN(const files::Bytes request, Annotate(stream.Next(), "the guest's share"));
  if (request.empty()) {
    return Unavailable("the guest's share: the port was closed");
  }
  return Annotate(stream.Send(session->Handle(request)), "the guest's share");
}

Status Run(const vm::Handshake::Guest& guest, Deadline deadline) {
  FARLET_TRY(AnswerFuseInit(guest.files, deadline));
  FARLET_TRY(Hello(guest.agent, deadline));
  return Furnish(guest, deadline);
}

}  // namespace

vm::Handshake GuestHandshake() {
  return {.run = Run, .version = "2"};
}

}  // namespace farlet::shim
