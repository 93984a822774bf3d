#pragma once

#include "runtime/base/result.h"

#include <string>

namespace farlet::server {

// A body that is produced while it is sent. Used by one thread at a time; destroyed when the client
// has gone, so it needs no cancellation.
class BodySource {
 public:
  enum class Next {
    kMore,  // call again as soon as the output has been sent
    kWait,  // nothing for now; ask again a little later
    kEnd,
  };

  virtual ~BodySource() = default;

  // Appends some output to `out`, about 64 KiB at most, in a short time. kMore without output is
  // allowed (input was read and left out). An error breaks the body off.
  virtual Result<Next> Produce(std::string& out) = 0;
};

}  // namespace farlet::server
