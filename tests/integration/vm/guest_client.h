#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/fd.h"
#include "runtime/ttrpc/client.h"
#include "runtime/vm/vm_factory.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace farlet::vm {

// Calls the real guest agent.
class GuestClient {
 public:
  explicit GuestClient(UniqueFd port)
      : work_(context_.get_executor()),
        client_(ttrpc::Client::Over(context_, std::move(port))),
        thread_([this] { context_.run(); }) {}

  ~GuestClient() {
    client_->Close();
    work_.reset();
    thread_.join();
  }

  GuestClient(const GuestClient&) = delete;
  GuestClient& operator=(const GuestClient&) = delete;

  template <class Rep, class Req>
  Result<Rep> Call(const std::string& method, const Req& request) {
    return client_->CallAndWait<Req, Rep>("farlet.guest.v1.Agent", method, request,
                                          std::chrono::seconds(30));
  }

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::shared_ptr<ttrpc::Client> client_;
  std::thread thread_;
};

// Answers the FUSE_INIT of a guest that mounts its share (include/uapi/linux/fuse.h).
inline Status AnswerFuseInit(int files) {
  fuse_in_header header{};
  if (::recv(files, &header, sizeof header, MSG_WAITALL) != sizeof header ||
      header.opcode != FUSE_INIT || header.len > 1024 || header.len < sizeof header) {
    return Internal("no FUSE_INIT from the guest");
  }
  std::string body(header.len - sizeof header, '\0');
  (void)!::recv(files, body.data(), body.size(), MSG_WAITALL);

  struct {
    fuse_out_header header{};
    fuse_init_out init{};
  } answer;

  answer.header.len = sizeof answer;
  answer.header.unique = header.unique;
  answer.init.major = FUSE_KERNEL_VERSION;
  answer.init.minor = 33;
  answer.init.max_write = 128u << 10;
  if (::send(files, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) {
    return Internal("the guest does not read");
  }
  return {};
}

inline Handshake GuestHandshake() {
  const auto run = [](int agent, int files, std::chrono::steady_clock::time_point) -> Status {
    FARLET_TRY(AnswerFuseInit(files));
    GuestClient client(UniqueFd(::dup(agent)));
    guest::v1::HelloRequest hello;
    hello.set_version(1);
    FARLET_TRY(client.Call<guest::v1::HelloResponse>("Hello", hello));
    return {};
  };
  return {.run = run, .version = "test"};
}

}  // namespace farlet::vm
