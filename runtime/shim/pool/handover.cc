#include "runtime/shim/pool/handover.h"

#include "runtime/base/descriptor_passing.h"
#include "runtime/base/json_text.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/spec/cursor.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>
#include <utility>

namespace farlet::shim {
namespace {

using nlohmann::json;

// `start` has better to do than to wait, and a spare others to listen to.
constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
constexpr size_t kMaxMessage = 128u << 10;
constexpr std::string_view kGo = "go";

struct Message {
  std::string text;
  std::array<UniqueFd, kMaxPassedDescriptors> descriptors;  // invalid: none came
};

Status SetPatience(int socket) {
  if (::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0 ||
      ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) != 0) {
    return ErrnoError(errno, "limit the time of a socket");
  }
  return {};
}

Status Send(int socket, std::string_view text, const std::vector<int>& descriptors = {}) {
  if (SendWithDescriptors(socket, text, descriptors) != static_cast<ssize_t>(text.size())) {
    return ErrnoError(errno, "send to a spare's socket");
  }
  return {};
}

// kUnavailable at the end.
Result<Message> Receive(int socket) {
  Message received;
  received.text.resize(kMaxMessage);
  ReceivedMessage message = ReceiveWithDescriptors(socket, received.text);
  if (message.size < 0) {
    return ErrnoError(errno, "receive from a spare's socket");
  }
  if (message.size == 0) {
    return Unavailable("a spare's socket was closed");
  }
  if (message.truncated) {
    return InvalidArgument("a message of a spare's socket is too long");
  }
  received.descriptors = std::move(message.descriptors);
  received.text.resize(static_cast<size_t>(message.size));
  return received;
}

Result<Handover> Parse(Message message) {
  const json document = json::parse(message.text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    return InvalidArgument("an offer to a spare is not JSON");
  }
  const Cursor root(document);
  Handover handover{.end = root["end"].Flag()};
  if (!handover.end) {
    Offer offer;
    offer.line.action = Action::kServe;
    offer.line.containerd_namespace = root["namespace"].Text();
    offer.line.address = root["address"].Text();
    offer.line.id = root["id"].Text();
    offer.line.debug = root["debug"].Flag();
    offer.environment = root["environment"].Texts();
    offer.listening = std::move(message.descriptors[0]);
    offer.bundle = std::move(message.descriptors[1]);
    if (!offer.listening.valid() || !offer.bundle.valid()) {
      return InvalidArgument("an offer to a spare lacks its descriptors");
    }
    handover.offer = std::move(offer);
  }
  FARLET_TRY(Annotate(root.status(), "an offer to a spare"));
  return handover;
}

// When it comes too late, either it counts for both sides or for none: after the shutdown nothing
// more can be sent, and what was sent before can still be read.
Status ReceiveGo(int connection) {
  Result<Message> message = Receive(connection);
  if (!message && message.error().code != Code::kUnavailable) {
    ::shutdown(connection, SHUT_RD);
    message = Receive(connection);
  }
  if (!message) {
    return std::move(message).error();
  }
  return message->text == kGo ? Status() : Status(InvalidArgument("a spare was not told to go"));
}

bool IsOurs(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::getuid();
}

}  // namespace

Result<pid_t> HandOver(const std::filesystem::path& socket, const Offer& offer) {
  FARLET_ASSIGN(const UniqueFd connection, ConnectUnix(socket, SocketKind::kMessages));
  FARLET_TRY(SetPatience(connection.get()));
  const json message = {{"namespace", offer.line.containerd_namespace},
                        {"address", offer.line.address},
                        {"id", offer.line.id},
                        {"debug", offer.line.debug},
                        {"environment", offer.environment}};
  const std::string text = JsonText(message);
  if (text.size() > kMaxMessage) {
    return InvalidArgument("the environment is too long for a spare");
  }
  FARLET_TRY(Send(connection.get(), text, {offer.listening.get(), offer.bundle.get()}));
  FARLET_ASSIGN(const Message answer, Receive(connection.get()));
  pid_t pid = 0;
  const char* const end = answer.text.data() + answer.text.size();
  if (std::from_chars(answer.text.data(), end, pid).ptr != end || pid <= 0) {
    return InvalidArgument("a spare's answer is no process id");
  }
  FARLET_TRY(Send(connection.get(), kGo));
  return pid;
}

Status TellToEnd(const std::filesystem::path& socket) {
  FARLET_ASSIGN(const UniqueFd connection, ConnectUnix(socket, SocketKind::kMessages));
  FARLET_TRY(SetPatience(connection.get()));
  return Send(connection.get(), json{{"end", true}}.dump());
}

Result<Handover> TakeOver(UniqueFd connection) {
  if (!IsOurs(connection.get())) {
    return MakeError(Code::kPermissionDenied, "a spare's connection is another user's");
  }
  FARLET_TRY(SetPatience(connection.get()));
  Result<Message> message = Receive(connection.get());
  if (!message) {
    // Somebody looked whether it is there.
    return message.error().code == Code::kUnavailable ? Result<Handover>(Handover())
                                                      : std::move(message).error();
  }
  FARLET_ASSIGN(Handover handover, Parse(std::move(*message)));
  if (handover.offer) {
    FARLET_TRY(Send(connection.get(), std::to_string(::getpid())));
    FARLET_TRY(ReceiveGo(connection.get()));
  }
  return handover;
}

}  // namespace farlet::shim
