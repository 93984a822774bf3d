#pragma once

#include "runtime/ttrpc/connection.h"
#include "runtime/ttrpc/server.h"

#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>

// Internal.
namespace farlet::ttrpc {

// Takes connections from one listening socket. I/O thread only, but for the constructor.
class Listener final : public std::enable_shared_from_this<Listener> {
 public:
  struct Hooks {
    std::function<void(UniqueFd connection)> accepted;
    std::function<void(const Error& error)> failed;
  };

  Listener(asio::io_context& context, UniqueFd fd, ListenOptions options, Hooks hooks);

  void Start();
  void Close();

 private:
  void Wait();
  // Takes those that wait, up to a turn's worth.
  void Accept();
  // After an error that only time can cure: no descriptors left.
  void Pause();
  Status CheckPeer(int fd) const;

  const ListenOptions options_;
  const Hooks hooks_;
  UniqueFd fd_;  // until Start()
  Stream stream_;
  asio::steady_timer pause_;
  bool failing_ = false;
  bool closed_ = false;
};

}  // namespace farlet::ttrpc
