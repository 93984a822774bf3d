#pragma once

#include "proto/guest/v1/guest.pb.h"
#include "runtime/base/fd.h"
#include "runtime/ttrpc/client.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

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

}  // namespace farlet::vm
