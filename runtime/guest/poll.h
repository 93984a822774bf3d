#pragma once

#include <chrono>
#include <functional>

namespace boost::asio {
class io_context;
}

namespace farlet::guest {

// Asks `ready` now and then again, at growing distances of at most 50 ms, until it is true or the
// time is over; then calls `done` with its last answer. For kernel states that send no event.
void PollUntil(boost::asio::io_context& context,
               std::function<bool()> ready,
               std::chrono::milliseconds timeout,
               std::function<void(bool)> done);

}  // namespace farlet::guest
