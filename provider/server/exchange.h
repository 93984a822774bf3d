#pragma once

#include "provider/server/body_source.h"
#include "provider/server/request.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::server {

inline constexpr std::string_view kTextPlain = "text/plain; charset=utf-8";
inline constexpr std::string_view kJson = "application/json";

struct Response {
  int status = 200;
  std::string body;
  std::string content_type{kTextPlain};
  std::vector<std::pair<std::string, std::string>> headers;
  // Close the connection afterwards.
  bool close = false;
};

// The HTTP status that stands for an error: its own, or the one of its code.
int HttpStatus(const Error& error);

// The answer that stands for an error.
Response ErrorResponse(const Error& error);

// One request being answered. Exactly one of Reply, Stream and Tunnel counts, the first; later ones
// and those after the client has gone are dropped. Thread safe. Dropped without an answer: 500.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;

  virtual void Reply(Response response) = 0;

  // 200 with a body that is sent as it is produced (text/plain). `live`: it may pause for long, so
  // the headers go out at once and a client that goes away ends it.
  virtual void Stream(std::unique_ptr<BodySource> body, bool live) = 0;

  // Hands the upgrade over to the streaming server at `url` and the connection with it.
  virtual void Tunnel(std::string url) = 0;

  // Runs `callback` on the I/O thread after `delay`, unless the server stops before.
  virtual void After(std::chrono::milliseconds delay, std::function<void()> callback) = 0;

  // Runs `callback` on the I/O thread soon.
  virtual void Post(std::function<void()> callback) = 0;
};

using ExchangePtr = std::shared_ptr<Exchange>;

}  // namespace farlet::server
