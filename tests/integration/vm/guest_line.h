#pragma once

#include "runtime/base/fd.h"
#include "runtime/vm/vm_factory.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace farlet::vm {

// Speaks with test_guest.cc over the agent port.
class GuestLine {
 public:
  explicit GuestLine(UniqueFd port) : port_(std::move(port)) {}

  void Say(const std::string& command) {
    const std::string line = command + "\n";
    (void)!::send(port_.get(), line.data(), line.size(), MSG_NOSIGNAL);
  }

  bool Hears(std::chrono::milliseconds timeout) {
    pollfd readable{.fd = port_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&readable, 1, static_cast<int>(timeout.count())) == 1;
  }

  std::string Answer() {
    std::string line;
    while (Hears(std::chrono::seconds(30))) {
      char byte = 0;
      if (::read(port_.get(), &byte, 1) != 1) {
        return "the guest is gone";
      }
      if (byte == '\n') {
        return line;
      }
      line += byte;
    }
    return "no answer";
  }

  std::string Ask(const std::string& command) {
    Say(command);
    return Answer();
  }

 private:
  UniqueFd port_;
};

// The test guest's "INIT" on the files port, and a first hello.
inline Handshake TestHandshake() {
  const auto run = [](const Handshake::Guest& guest,
                      std::chrono::steady_clock::time_point) -> Status {
    std::string greeting(4, '\0');
    if (::recv(guest.files, greeting.data(), 4, MSG_WAITALL) != 4 || greeting != "INIT") {
      return Internal("the test guest did not greet");
    }
    (void)!::write(guest.files, "OKAY", 4);
    GuestLine line(UniqueFd(::dup(guest.agent)));
    const std::string answer = line.Ask("hello");
    return answer == "ready" ? Status() : Status(Internal("the test guest said " + answer));
  };
  return {.run = run, .version = "test"};
}

}  // namespace farlet::vm
