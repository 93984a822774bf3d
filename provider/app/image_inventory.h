#pragma once

#include "runtime/base/timer.h"
#include "runtime/cri/client.h"

#include <memory>
#include <vector>

namespace farlet::app {

// The images on the node, for its status, listed once a minute. Thread safe.
class ImageInventory {
 public:
  // Both outlive it.
  ImageInventory(cri::Client& client, TimerService& timers);
  ~ImageInventory();  // an answer that comes later is dropped

  void Start();
  std::vector<cri::Image> Images() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::app
