#pragma once

#include "runtime/ttrpc/types.h"

#include <functional>
#include <memory>

// Internal.
namespace farlet::ttrpc {

// The end that cancels. Thread safe.
class CancellationSource {
 public:
  CancellationSource();

  Cancellation token() const;

  // Runs the hooks, once.
  void Cancel();
  // Drops the hooks: the call has its reply.
  void Release();

 private:
  std::shared_ptr<Cancellation::State> state_;
};

}  // namespace farlet::ttrpc
