#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace farlet::shim {

// A deadline in which the time during which the host had no CPU for the work does not count: work
// that is given up and tried again would only make a busy host busier. For the I/O thread, but for
// Start().
class CpuTimer final : public std::enable_shared_from_this<CpuTimer> {
 public:
  struct Limit {
    std::chrono::nanoseconds usual;
    std::chrono::nanoseconds longest;  // in any case
  };

  // The sum so far; asked only when the work takes long.
  using Waited = std::function<std::chrono::nanoseconds()>;
  using OnLate =
      std::function<void(std::chrono::nanoseconds took, std::chrono::nanoseconds waited)>;

  // `late` is called once, unless Cancel() comes first. What is waited counts from the middle of
  // `limit.usual` on, so that work which is soon done costs no look; from zero: all that `waited`
  // tells counts.
  static std::shared_ptr<CpuTimer> Start(boost::asio::io_context& io,
                                         Limit limit,
                                         Waited waited,
                                         OnLate late);
  static std::shared_ptr<CpuTimer> StartFromZero(boost::asio::io_context& io,
                                                 Limit limit,
                                                 Waited waited,
                                                 OnLate late);

  void Cancel();

 private:
  using Time = std::chrono::steady_clock::time_point;

  CpuTimer(boost::asio::io_context& io, Limit limit, Waited waited, OnLate late);

  void Await(std::chrono::nanoseconds left);
  void OnTime();

  boost::asio::steady_timer timer_;
  const Limit limit_;
  const Waited waited_;
  OnLate late_;  // empty: over
  const Time started_ = std::chrono::steady_clock::now();
  bool counting_ = false;
  std::chrono::nanoseconds before_{0};  // what had been waited when it began to count
};

}  // namespace farlet::shim
