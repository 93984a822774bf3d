#pragma once

#include "runtime/base/result.h"

// g++ 12 with Boost 1.74 needs <utility> before asio.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <utility>

namespace farlet::shim {

// The shim's threads: one runs `io` and owns all state; blocking steps run on `pool`.
struct Threads {
  boost::asio::io_context& io;
  boost::asio::thread_pool& pool;
};

// Runs `work` on the pool and hands its result to `done` on the I/O thread.
template <class T>
void RunBlocking(Threads threads, std::function<Result<T>()> work, Callback<T> done) {
  boost::asio::post(
      threads.pool, [&io = threads.io, work = std::move(work), done = std::move(done)]() mutable {
        auto result = std::make_shared<Result<T>>(work());
        work = nullptr;
        boost::asio::post(io, [result, done = std::move(done)] { done(std::move(*result)); });
      });
}

}  // namespace farlet::shim
