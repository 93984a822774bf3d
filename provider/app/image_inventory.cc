#include "provider/app/image_inventory.h"

#include <mutex>
#include <utility>

namespace farlet::app {
namespace {

constexpr seconds kPeriod{60};
constexpr seconds kRetry{5};  // the runtime did not answer

}  // namespace

class ImageInventory::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(cri::Client& client, TimerService& timers) : client_(client), timers_(timers) {}

  void List() {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) {
        return;
      }
    }
    client_.ListImages([weak = weak_from_this()](Result<std::vector<cri::Image>> images) {
      if (const auto self = weak.lock()) {
        self->Store(std::move(images));
      }
    });
  }

  void Stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    timers_.Cancel(timer_);
  }

  std::vector<cri::Image> Images() const {
    const std::lock_guard lock(mutex_);
    return images_;
  }

 private:
  void Store(Result<std::vector<cri::Image>> images) {
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      return;
    }
    const seconds next = images ? kPeriod : kRetry;
    if (images) {
      images_ = *std::move(images);
    }
    timer_ = timers_.After(next, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->List();
      }
    });
  }

  cri::Client& client_;
  TimerService& timers_;
  mutable std::mutex mutex_;  // guards all below
  bool stopped_ = false;
  TimerService::Id timer_ = 0;
  std::vector<cri::Image> images_;
};

ImageInventory::ImageInventory(cri::Client& client, TimerService& timers)
    : impl_(std::make_shared<Impl>(client, timers)) {}

ImageInventory::~ImageInventory() {
  impl_->Stop();
}

void ImageInventory::Start() {
  impl_->List();
}

std::vector<cri::Image> ImageInventory::Images() const {
  return impl_->Images();
}

}  // namespace farlet::app
