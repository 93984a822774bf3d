#include "tests/bench/floor/first_output.h"

#include <system_error>
#include <utility>

namespace farlet::bench {
namespace {

constexpr milliseconds kInterval{2};
constexpr std::chrono::minutes kPatience{1};

}  // namespace

void FirstOutput::Await(const std::filesystem::path& log, StatusCallback done) {
  const SteadyTime until = clock_.Now() + kPatience;
  timers_.After(milliseconds(0),
                [this, log, until, done = std::move(done)] { Look(log, until, done); });
}

void FirstOutput::Look(const std::filesystem::path& log,
                       SteadyTime until,
                       const StatusCallback& done) {
  std::error_code error;
  if (const auto size = std::filesystem::file_size(log, error); !error && size > 0) {
    done({});
  } else if (clock_.Now() > until) {
    done(MakeError(Code::kDeadlineExceeded, "no output in " + log.string()));
  } else {
    timers_.After(kInterval, [this, log, until, done] { Look(log, until, done); });
  }
}

}  // namespace farlet::bench
