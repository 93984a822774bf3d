#pragma once

#include "kube/client/client.h"

#include <functional>
#include <string>
#include <string_view>

namespace farlet::kube {

// Cuts the body of a watch (one JSON object a line, in pieces of any size) into events. Not thread
// safe.
class WatchDecoder {
 public:
  explicit WatchDecoder(size_t max_event = size_t{8} << 20) : max_event_(max_event) {}

  // Calls `on_event` for each event that `data` completes, as long as it returns true. Errors,
  // after which the decoder is of no use: the server's ERROR event as ErrorFromStatus() has it,
  // kInternal for what is no event, kResourceExhausted for one that is too long. `what` names the
  // watch.
  Status Feed(std::string_view data,
              std::string_view what,
              const std::function<bool(Json event)>& on_event);

  // Whether the input so far ends within an event.
  bool InEvent() const { return !partial_.empty(); }

 private:
  const size_t max_event_;
  std::string partial_;
};

}  // namespace farlet::kube
