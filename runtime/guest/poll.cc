#include "runtime/guest/poll.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace farlet::guest {
namespace {

using Clock = std::chrono::steady_clock;

struct Poll : std::enable_shared_from_this<Poll> {
  explicit Poll(boost::asio::io_context& context) : timer(context) {}

  void Ask() {
    const bool is_ready = ready();
    if (is_ready || Clock::now() >= deadline) {
      done(is_ready);
      return;
    }
    timer.expires_after(distance);
    distance = std::min(distance * 2, std::chrono::milliseconds(50));
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) {
        self->Ask();
      }
    });
  }

  boost::asio::steady_timer timer;
  std::function<bool()> ready;
  std::function<void(bool)> done;
  Clock::time_point deadline;
  std::chrono::milliseconds distance{1};
};

}  // namespace

void PollUntil(boost::asio::io_context& context,
               std::function<bool()> ready,
               std::chrono::milliseconds timeout,
               std::function<void(bool)> done) {
  const auto poll = std::make_shared<Poll>(context);
  poll->ready = std::move(ready);
  poll->done = std::move(done);
  poll->deadline = Clock::now() + timeout;
  poll->Ask();
}

}  // namespace farlet::guest
