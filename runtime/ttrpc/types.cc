#include "runtime/ttrpc/types.h"

#include "runtime/ttrpc/cancellation.h"

#include <mutex>

namespace farlet::ttrpc {

struct Cancellation::State {
  std::mutex mutex;  // guards all below
  bool cancelled = false;
  bool released = false;
  std::vector<std::function<void()>> hooks;
};

bool Cancellation::cancelled() const {
  if (!state_) {
    return false;
  }
  const std::lock_guard lock(state_->mutex);
  return state_->cancelled;
}

void Cancellation::OnCancel(std::function<void()> hook) const {
  if (!state_) {
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->released) {
      return;
    }
    if (!state_->cancelled) {
      state_->hooks.push_back(std::move(hook));
      return;
    }
  }
  hook();
}

CancellationSource::CancellationSource() : state_(std::make_shared<Cancellation::State>()) {}

Cancellation CancellationSource::token() const {
  Cancellation token;
  token.state_ = state_;
  return token;
}

void CancellationSource::Cancel() {
  std::vector<std::function<void()>> hooks;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->released || state_->cancelled) {
      return;
    }
    state_->cancelled = true;
    hooks.swap(state_->hooks);
  }
  for (const auto& hook : hooks) {
    hook();
  }
}

void CancellationSource::Release() {
  std::vector<std::function<void()>> hooks;  // destroyed without the lock
  const std::lock_guard lock(state_->mutex);
  state_->released = true;
  hooks.swap(state_->hooks);
}

std::string_view MetadataValue(const Request& request, std::string_view key) {
  for (const auto& [name, value] : request.metadata) {
    if (name == key) {
      return value;
    }
  }
  return {};
}

}  // namespace farlet::ttrpc
