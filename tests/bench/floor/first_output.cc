#include "tests/bench/floor/first_output.h"

#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

namespace farlet::bench {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kInterval{2};
constexpr std::chrono::minutes kPatience{1};

}  // namespace

struct FirstOutput::Awaited {
  std::filesystem::path log;
  StatusCallback done;
  steady_clock::time_point until;

  // Nothing while there is nothing to say.
  std::optional<Status> Outcome() const {
    std::error_code error;
    if (const auto size = std::filesystem::file_size(log, error); !error && size > 0) {
      return Status();
    }
    if (steady_clock::now() > until) {
      return Status(MakeError(Code::kDeadlineExceeded, "no output in " + log.string()));
    }
    return std::nullopt;
  }
};

FirstOutput::FirstOutput() : thread_([this] { Run(); }) {}

FirstOutput::~FirstOutput() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FirstOutput::Await(std::filesystem::path log, StatusCallback done) {
  const std::lock_guard lock(mutex_);
  awaited_.push_back(
      {.log = std::move(log), .done = std::move(done), .until = steady_clock::now() + kPatience});
  changed_.notify_all();
}

void FirstOutput::Run() {
  std::unique_lock lock(mutex_);
  while (!ended_) {
    if (awaited_.empty()) {
      changed_.wait(lock);
      continue;
    }
    std::vector<std::pair<StatusCallback, Status>> over;
    std::erase_if(awaited_, [&](Awaited& each) {
      auto outcome = each.Outcome();
      if (outcome) {
        over.emplace_back(std::move(each.done), std::move(*outcome));
      }
      return outcome.has_value();
    });
    lock.unlock();
    for (const auto& [done, outcome] : over) {
      done(outcome);
    }
    std::this_thread::sleep_for(kInterval);
    lock.lock();
  }
}

}  // namespace farlet::bench
