#include "runtime/shim/cpu_timer.h"

#include <algorithm>
#include <utility>

namespace farlet::shim {
namespace {

constexpr std::chrono::milliseconds kLeastWait{50};

}  // namespace

CpuTimer::CpuTimer(boost::asio::io_context& io, Limit limit, Waited waited, OnLate late)
    : timer_(io), limit_(limit), waited_(std::move(waited)), late_(std::move(late)) {}

std::shared_ptr<CpuTimer> CpuTimer::Start(boost::asio::io_context& io,
                                          Limit limit,
                                          Waited waited,
                                          OnLate late) {
  std::shared_ptr<CpuTimer> timer(new CpuTimer(io, limit, std::move(waited), std::move(late)));
  timer->Await(limit.usual / 2);
  return timer;
}

std::shared_ptr<CpuTimer> CpuTimer::StartFromZero(boost::asio::io_context& io,
                                                  Limit limit,
                                                  Waited waited,
                                                  OnLate late) {
  std::shared_ptr<CpuTimer> timer(new CpuTimer(io, limit, std::move(waited), std::move(late)));
  timer->counting_ = true;
  timer->Await(limit.usual);
  return timer;
}

void CpuTimer::Cancel() {
  late_ = nullptr;
  timer_.cancel();
}

void CpuTimer::Await(std::chrono::nanoseconds left) {
  timer_.expires_after(left);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->late_) {
      self->OnTime();
    }
  });
}

void CpuTimer::OnTime() {
  const auto waited = waited_();
  if (!std::exchange(counting_, true)) {
    before_ = waited;
  }
  const auto took = std::chrono::steady_clock::now() - started_;
  const auto left = std::min(limit_.usual + waited - before_, limit_.longest) - took;
  if (left > kLeastWait) {
    Await(left);
    return;
  }
  std::exchange(late_, nullptr)(took, waited - before_);
}

}  // namespace farlet::shim
