#pragma once

#include "runtime/base/fd.h"
#include "runtime/ttrpc/types.h"

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace boost::asio {
class io_context;
}

namespace farlet::ttrpc {

struct ListenOptions {
  // Connections of another user are closed at once.
  std::optional<uid_t> peer_uid;
};

// Answers unary ttRPC calls on any number of connections, each within the limits. `context` is run
// by one thread, the I/O thread, and outlives this object and every reply. Open calls are answered
// in any order. Methods are registered before the first connection; all else is thread safe.
class Server {
 public:
  // Why a connection ended, or could not be taken. An orderly end has no error.
  using EndHook = std::function<void(const Status& end)>;

  template <class Message>
  using TypedReply = std::function<void(Result<Message>)>;

  explicit Server(boost::asio::io_context& context, Limits limits = {});
  // Calls Close(). On the I/O thread, or when it does not run: elsewhere a handler may be running.
  ~Server();

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void Register(std::string service, std::string method, Handler handler);

  // Parses and serializes; a request that does not parse is answered with kInvalidArgument.
  template <class Req, class Rep>
  void Method(std::string service,
              std::string method,
              std::function<void(Req, TypedReply<Rep>)> handler) {
    Method<Req, Rep>(
        std::move(service), std::move(method),
        [handler = std::move(handler)](const Request&, Req message, TypedReply<Rep> reply) {
          handler(std::move(message), std::move(reply));
        });
  }

  // The same for handlers that want the call's metadata, timeout or cancellation. The request's
  // payload is empty.
  template <class Req, class Rep>
  void Method(std::string service,
              std::string method,
              std::function<void(const Request&, Req, TypedReply<Rep>)> handler);

  // Called on the I/O thread for every connection that ends with an error or is refused, and for
  // errors of accepting. Set before the first connection.
  void OnError(std::function<void(const Error& error)> hook);

  // Takes connections until Close().
  void Listen(UniqueFd socket, ListenOptions options = {});

  // One connection that is open already: a socket or a character device. `ended` may be null.
  void Serve(UniqueFd connection, EndHook ended = {});

  // Ends everything: open calls are cancelled, no handler starts any more once the I/O thread has
  // seen it. Replies that come later are dropped.
  void Close();

 private:
  class Core;

  const std::shared_ptr<Core> core_;
};

template <class Req, class Rep>
void Server::Method(std::string service,
                    std::string method,
                    std::function<void(const Request&, Req, TypedReply<Rep>)> handler) {
  Register(std::move(service), std::move(method),
           [handler = std::move(handler)](Request request, Reply reply) {
             auto message = ParseMessage<Req>(request.payload, "the request");
             request.payload.clear();
             request.payload.shrink_to_fit();
             if (!message) {
               reply(std::move(message).error());
               return;
             }
             handler(request, std::move(*message), [reply](Result<Rep> result) {
               if (result) {
                 reply(result->SerializeAsString());
               } else {
                 reply(std::move(result).error());
               }
             });
           });
}

}  // namespace farlet::ttrpc
