#include "runtime/shim/handshake.h"

#include "proto/guest/v1/guest.pb.h"
#include "runtime/shim/guest_call.h"
#include "runtime/vm/files/message_stream.h"
#include "runtime/vm/files/session.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace farlet::shim {
namespace {

constexpr uint32_t kGuestVersion = 1;

Status Hello(int agent, SteadyTime deadline) {
  guest::v1::HelloRequest request;
  request.set_version(kGuestVersion);
  FARLET_ASSIGN(const auto answer,
                CallGuest<guest::v1::HelloResponse>(agent, "Hello", request, deadline));
  if (answer.version() != kGuestVersion) {
    return MakeError(Code::kFailedPrecondition,
                     fmt::format("the guest's agent speaks version {}, not {}", answer.version(),
                                 kGuestVersion));
  }
  return {};
}

Status Furnish(const vm::Handshake::Guest& guest, SteadyTime deadline) {
  guest::v1::FurnishRequest request;
  if (guest.has_disk) {
    request.set_writable_device(vm::kWritableDevice);
  }
  request.set_settle(guest.is_template);
  FARLET_TRY(CallGuest<guest::v1::FurnishResponse>(guest.agent, "Furnish", request, deadline));
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

Status AnswerFuseInit(int files, SteadyTime deadline) {
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

Status Run(const vm::Handshake::Guest& guest, SteadyTime deadline) {
  FARLET_TRY(AnswerFuseInit(guest.files, deadline));
  FARLET_TRY(Hello(guest.agent, deadline));
  return Furnish(guest, deadline);
}

}  // namespace

vm::Handshake GuestHandshake() {
  return {.run = Run, .version = "2"};
}

}  // namespace farlet::shim
