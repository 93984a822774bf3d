#include "tests/bench/floor/floor.h"

#include "runtime/base/file.h"
#include "runtime/base/limiter.h"
#include "tests/bench/floor/first_output.h"
#include "tests/bench/floor/floor_pod.h"

#include <fmt/format.h>

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

namespace farlet::bench {
namespace {

using std::chrono::steady_clock;

double Since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

template <class Value, class Call>
Result<Value> Wait(Call call) {
  const auto promise = std::make_shared<std::promise<Result<Value>>>();
  call([promise](Result<Value> result) { promise->set_value(std::move(result)); });
  return promise->get_future().get();
}

// One phase over all pods: each pod takes its steps one after the other, `parallel` pods at a time.
class Phase {
 public:
  using Next = std::function<void(Status)>;

  struct Step {
    std::string name;
    std::function<void(FloorPod&, StatusCallback)> call;
  };

  Phase(std::vector<Step> steps, int parallel) : steps_(std::move(steps)), limiter_(parallel) {}

  FloorPhase Run(std::vector<FloorPod>& pods, std::optional<Error>& error) {
    begin_ = steady_clock::now();
    left_ = pods.size();
    for (FloorPod& pod : pods) {
      limiter_.Submit([this, &pod] { Take(pod, 0, steady_clock::now()); });
    }
    std::unique_lock lock(mutex_);
    all_done_.wait(lock, [this] { return left_ == 0; });
    result_.total = Since(begin_);
    error = error ? error : error_;
    return result_;
  }

 private:
  void Take(FloorPod& pod, size_t step, steady_clock::time_point pod_begin) {
    if (step == steps_.size()) {
      Finish(pod_begin, {});
      return;
    }
    const auto begin = steady_clock::now();
    steps_[step].call(pod, [this, &pod, step, pod_begin, begin](const Status& status) {
      {
        const std::lock_guard lock(mutex_);
        result_.calls[steps_[step].name].push_back(Since(begin));
      }
      if (status) {
        Take(pod, step + 1, pod_begin);
      } else {
        Finish(pod_begin, Wrap(steps_[step].name, status.error()));
      }
    });
  }

  void Finish(steady_clock::time_point pod_begin, std::optional<Error> error) {
    limiter_.Done();
    const std::lock_guard lock(mutex_);
    if (error) {
      error_ = std::move(error);
    } else {
      result_.done.push_back(Since(begin_));
      result_.took.push_back(Since(pod_begin));
    }
    if (--left_ == 0) {
      all_done_.notify_all();
    }
  }

  const std::vector<Step> steps_;
  ConcurrencyLimiter limiter_;
  steady_clock::time_point begin_;

  std::mutex mutex_;  // guards all below
  std::condition_variable all_done_;
  size_t left_ = 0;
  FloorPhase result_;
  std::optional<Error> error_;
};

Status Present(cri::Client& client, const std::string& image) {
  FARLET_ASSIGN(const auto found, Wait<std::shared_ptr<const cri::Image>>([&](auto done) {
                  client.ImageStatus(image, std::move(done));
                }));
  if (found) {
    return {};
  }
  FARLET_TRY(
      Wait<std::string>([&](auto done) { client.PullImage(image, {}, nullptr, std::move(done)); }));
  return {};
}

// Stores what a step made and goes on.
template <class Id>
Callback<Id> Keep(Id& to, StatusCallback done) {
  return [&to, done = std::move(done)](Result<Id> made) {
    if (!made) {
      done(std::move(made).error());
      return;
    }
    to = std::move(*made);
    done({});
  };
}

std::vector<Phase::Step> StartSteps(cri::Client& client,
                                    const FloorOptions& options,
                                    FirstOutput& output) {
  std::vector<Phase::Step> steps{
      {"Prepare", [](FloorPod& pod, const StatusCallback& done) { done(PrepareFiles(pod)); }},
      {"RunPodSandbox",
       [&](FloorPod& pod, StatusCallback done) {
         client.RunPodSandbox(pod.sandbox_config, options.runtime_handler,
                              Keep(pod.sandbox, std::move(done)));
       }},
      {"CreateContainer",
       [&](FloorPod& pod, StatusCallback done) {
         client.CreateContainer(pod.sandbox, pod.config, pod.sandbox_config,
                                Keep(pod.container, std::move(done)));
       }},
      {"StartContainer", [&](FloorPod& pod, StatusCallback done) {
         client.StartContainer(pod.container, std::move(done));
       }}};
  if (options.await_output) {
    steps.push_back({"Output", [&output](FloorPod& pod, StatusCallback done) {
                       output.Await(std::filesystem::path(pod.sandbox_config.log_directory) /
                                        pod.config.log_path,
                                    std::move(done));
                     }});
  }
  return steps;
}

std::vector<Phase::Step> RemoveSteps(cri::Client& client, seconds grace) {
  return {{"StopContainer",
           [&client, grace](FloorPod& pod, StatusCallback done) {
             client.StopContainer(pod.container, grace, std::move(done));
           }},
          {"StopPodSandbox",
           [&client](FloorPod& pod, StatusCallback done) {
             client.StopPodSandbox(pod.sandbox, std::move(done));
           }},
          {"RemoveContainer",
           [&client](FloorPod& pod, StatusCallback done) {
             client.RemoveContainer(pod.container, std::move(done));
           }},
          {"RemovePodSandbox",
           [&client](FloorPod& pod, StatusCallback done) {
             client.RemovePodSandbox(pod.sandbox, std::move(done));
           }},
          {"CleanUp", [](FloorPod& pod, const StatusCallback& done) { done(RemoveFiles(pod)); }}};
}

}  // namespace

Result<FloorResult> MeasureFloor(cri::Client& client,
                                 const FloorOptions& options,
                                 const std::function<void()>& started) {
  FARLET_TRY(Present(client, options.sandbox_image));
  FARLET_TRY(Present(client, options.image));
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("farlet-cri-floor-{}", ::getpid());
  FARLET_TRY(MakeDirectories(folder, 0755));
  FARLET_TRY(PrepareAccount(options, folder));
  std::vector<FloorPod> pods;
  for (int number = 0; number < options.pods; ++number) {
    FARLET_ASSIGN(FloorPod pod, MakeFloorPod(options, folder, number));
    pods.push_back(std::move(pod));
  }
  const bool foreign_parent = CgroupExists(options.cgroup_parent);
  std::optional<Error> error;
  FloorResult result;
  FirstOutput output;
  Phase start(StartSteps(client, options, output), options.parallel);
  result.start = start.Run(pods, error);
  started();
  Phase remove(RemoveSteps(client, options.grace), options.parallel);
  result.remove = remove.Run(pods, error);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  if (!foreign_parent) {
    RemoveCgroup(options.cgroup_parent);
  }
  if (error) {
    return std::move(*error);
  }
  return result;
}

}  // namespace farlet::bench
