#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace farlet::vm {

// A thread that waits for descriptors to be readable and calls their handlers, one at a time.
class Watcher {
 public:
  // Returns false to be watched no more.
  using Handler = std::function<bool()>;

  struct Source {
    int fd = -1;
    Handler on_readable;
  };

  // The descriptors stay open until the destructor has returned, which waits for a running handler.
  static Result<std::unique_ptr<Watcher>> Start(std::vector<Source> sources);

  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher();

 private:
  explicit Watcher(UniqueFd stop) : stop_(std::move(stop)) {}

  void Loop(std::vector<Source> sources);

  const UniqueFd stop_;
  std::thread thread_;
};

}  // namespace farlet::vm
