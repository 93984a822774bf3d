#pragma once

#include "runtime/base/result.h"

#include <functional>
#include <future>
#include <memory>
#include <utility>

namespace farlet::kube {

template <class T>
Result<T> Await(const std::function<void(Callback<T>)>& start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future.get();
}

}  // namespace farlet::kube
