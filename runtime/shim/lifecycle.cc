#include "runtime/shim/lifecycle.h"

#include <fmt/format.h>

#include <utility>

namespace farlet::shim {
namespace {

Error WrongState(std::string_view action, Lifecycle::State state) {
  return MakeError(Code::kFailedPrecondition,
                   fmt::format("{}: the process is {}", action, StateName(state)));
}

}  // namespace

std::string_view StateName(Lifecycle::State state) {
  switch (state) {
    case Lifecycle::State::kCreated:
      return "created";
    case Lifecycle::State::kStarting:
      return "starting";
    case Lifecycle::State::kRunning:
      return "running";
    case Lifecycle::State::kPausing:
      return "pausing";
    case Lifecycle::State::kPaused:
      return "paused";
    case Lifecycle::State::kStopped:
      return "stopped";
  }
  return "unknown";
}

Status Lifecycle::BeginStart() {
  if (state_ != State::kCreated) {
    return WrongState("start", state_);
  }
  state_ = State::kStarting;
  return {};
}

std::optional<Exit> Lifecycle::EndStart() {
  if (state_ == State::kStarting) {
    state_ = State::kRunning;
  }
  return std::exchange(held_, std::nullopt);
}

void Lifecycle::FailStart(const Exit& exit) {
  if (state_ == State::kStarting) {
    state_ = State::kStopped;
    exit_ = held_.value_or(exit);
    held_.reset();
  }
}

Status Lifecycle::BeginPause() {
  if (state_ != State::kRunning) {
    return WrongState("pause", state_);
  }
  state_ = State::kPausing;
  return {};
}

void Lifecycle::EndPause(bool paused) {
  if (state_ == State::kPausing) {
    state_ = paused ? State::kPaused : State::kRunning;
  }
}

Status Lifecycle::Resume() {
  if (state_ != State::kPaused) {
    return WrongState("resume", state_);
  }
  state_ = State::kRunning;
  return {};
}

bool Lifecycle::Exited(const Exit& exit) {
  if (state_ == State::kStopped) {
    return false;
  }
  if (state_ == State::kStarting) {
    if (!held_) {
      held_ = exit;
    }
    return false;
  }
  state_ = State::kStopped;
  exit_ = exit;
  return true;
}

}  // namespace farlet::shim
