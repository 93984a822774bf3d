#pragma once

#include <functional>
#include <utility>

namespace farlet {

// Reverts an acquisition unless dismissed: the undo ladder of ARCHITECTURE rule 4. What it runs
// brings its own fresh, bounded deadline.
class Undo {
 public:
  explicit Undo(std::function<void()> revert) : revert_(std::move(revert)) {}

  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

  ~Undo() {
    if (revert_) {
      revert_();
    }
  }

  void Dismiss() { revert_ = nullptr; }

 private:
  std::function<void()> revert_;
};

}  // namespace farlet
