#pragma once

#include "kube/client/client_core.h"
#include "kube/client/watch_decoder.h"

#include <memory>
#include <mutex>
#include <string>

namespace farlet::kube {

// One watch. Lives on the I/O thread but for Start(), Abort() and Close().
class WatchCall final : public InFlight, public std::enable_shared_from_this<WatchCall> {
 public:
  WatchCall(std::shared_ptr<ClientCore> core,
            const std::string& path,
            const WatchOptions& options,
            WatchHandlers handlers);

  void Start();
  void Abort() override;
  // No handler starts after it; waits for one that runs on another thread.
  void Close();

 private:
  void Attempt();
  void Open(const Credential& credential);
  void HandleData(std::string_view data);
  void HandleEnd(Status end, uint64_t generation);
  void End(Status end);

  const std::shared_ptr<ClientCore> core_;
  const std::string path_;
  const std::string what_;
  const std::string target_;
  const milliseconds silence_;
  const WatchHandlers handlers_;
  std::unique_ptr<http::Stream> stream_;
  WatchDecoder decoder_;
  int status_ = 0;
  std::string refusal_;  // the body of an answer that is no watch
  bool refreshed_ = false;
  bool ended_ = false;
  std::recursive_mutex handler_mutex_;  // guards closed_; held while a handler runs
  bool closed_ = false;
};

}  // namespace farlet::kube
