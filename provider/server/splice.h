#pragma once

#include "provider/server/io.h"

#include <array>
#include <chrono>
#include <memory>
#include <string>

// Internal.
namespace farlet::server {

inline constexpr size_t kSpliceBuffer = 32768;

// Copies bytes between a client and the streaming server, whatever they mean. One buffer each way;
// the next read waits for the write of the one before, so a slow side slows down the other.
//
// When the client has no more to say, the server is told so (FIN) and may still answer. When the
// server ends, the client gets what is left, then the connection is closed. A reset on either side
// ends both. I/O thread; keeps itself alive.
class Splice final : public Session, public std::enable_shared_from_this<Splice> {
 public:
  // `token` is let go at the end.
  Splice(std::shared_ptr<IoCore> core,
         std::shared_ptr<ClientStream> client,
         tcp::socket upstream,
         std::chrono::milliseconds idle,
         std::shared_ptr<void> token);

  // With what has to go out first each way.
  void Start(std::string to_upstream, std::string to_client);
  void Close() override;

 private:
  void ReadClient();
  void WriteUpstream(asio::const_buffer bytes);
  void OnClientEnd(const ErrorCode& error);
  void ReadUpstream();
  void WriteClient(asio::const_buffer bytes);
  void OnUpstreamEnd(const ErrorCode& error);

  const std::shared_ptr<IoCore> core_;
  const std::shared_ptr<ClientStream> client_;
  tcp::socket upstream_;
  const std::chrono::milliseconds idle_;
  const std::shared_ptr<void> token_;
  Deadline deadline_;
  bool client_ended_ = false;
  bool closed_ = false;
  std::string first_to_upstream_;
  std::string first_to_client_;
  std::array<char, kSpliceBuffer> from_client_;
  std::array<char, kSpliceBuffer> from_upstream_;
};

}  // namespace farlet::server
