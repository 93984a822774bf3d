#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP/1.1 to one server, asynchronous. The library behind it is seen by one .cc file only.
namespace farlet::kube::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// The value of the first header of that name (case does not count), empty when there is none.
std::string_view FindHeader(const Headers& headers, std::string_view name);

struct Request {
  std::string method;
  std::string target;  // path and query, escaped; appended to the server URL's path
  Headers headers;
  std::string body;  // empty: none
};

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};

// How the server is verified and how we identify. A server certificate is always verified: its
// chain, its dates and its name, which for an address means its IP SANs.
struct TlsConfig {
  std::string ca_pem;           // the only roots that are trusted; empty: the system's
  std::string certificate_pem;  // client certificate, leaf first; empty: none
  std::string key_pem;
  std::string server_name;  // verified, and asked for by SNI, instead of the URL's host
};

struct SendOptions {
  milliseconds timeout{30'000};        // from the call to the last byte of the answer
  size_t max_body = size_t{64} << 20;  // a longer answer is kResourceExhausted
};

struct StreamOptions {
  milliseconds open_timeout{30'000};  // from the call to the answer's headers
  milliseconds silence{180'000};      // the longest time without a byte after that
};

struct StreamHandlers {
  // The answer's head (body empty), whatever its status; not called when none came.
  std::function<void(const Response& head)> on_head;
  // Bytes of the body as they arrive.
  std::function<void(std::string_view data)> on_data;
  // Exactly once, last: ok when the body ended as the protocol says it should.
  std::function<void(Status end)> on_end;
};

// An open stream. Destroying it closes the connection, waits for a handler that is running on
// another thread, and none runs after that. It may be destroyed from one of its own handlers.
class Stream {
 public:
  virtual ~Stream() = default;
};

// Thread safe. Handlers run on one I/O thread shared by all transports of the process and must not
// block; done and on_end are called exactly once. Connections are kept alive and reused; a request
// on a kept connection that turned out to be dead is repeated once on a new one. Redirects are not
// followed, proxies not used.
//
// Errors: kUnavailable (cannot resolve or connect, connection lost), kDeadlineExceeded (timeout,
// silence), kResourceExhausted (answer too long), kUnauthenticated (TLS: the server could not be
// verified or refused our certificate), kInvalidArgument (malformed request), kCancelled.
class Transport {
 public:
  // Ends what is in flight with kCancelled and waits for the handlers. Not on the I/O thread.
  virtual ~Transport() = default;

  // For new connections from now on; requests that are on their way end on their old ones.
  // kInvalidArgument when `tls` cannot be used; the old configuration then stays.
  virtual Status SetTls(const TlsConfig& tls) = 0;

  virtual void Send(Request request, const SendOptions& options, Callback<Response> done) = 0;
  virtual std::unique_ptr<Stream> OpenStream(Request request,
                                             const StreamOptions& options,
                                             StreamHandlers handlers) = 0;

  // Runs `function` on the I/O thread: soon; or at once when this is that thread already.
  virtual void Post(std::function<void()> function) = 0;
  virtual void Dispatch(std::function<void()> function) = 0;
};

// server_url: "https://host[:port][/path]"; plain http is for tests and for loopback. Without `tls`
// no request to an https server can be made until SetTls() (kUnavailable). kInvalidArgument.
Result<std::unique_ptr<Transport>> MakeTransport(std::string server_url,
                                                 const std::optional<TlsConfig>& tls);

}  // namespace farlet::kube::http
