#pragma once

#include "provider/fargate/names.h"
#include "provider/metering/ledger.h"
#include "provider/pod/observer.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

namespace farlet::app {

// Looks on while the controller runs pods, and tells the ledger of those of Fargate profiles.
//
// What is billed begins when the node begins with the pod's first image, whether that is pulled or
// found there, and before it does: an agent that is killed then has told the ledger already. It
// ends as EndOf() says, from what the runtime keeps of the containers, and so does not depend on
// whether an agent was there to see it.
class PodMeter final : public pod::PodObserver {
 public:
  struct Options {
    fargate::Names names;
    fargate::Rates rates;
  };

  // The ledger and the clock outlive it.
  PodMeter(metering::Ledger& ledger, const Clock& clock, Options options);
  ~PodMeter() override;

  PodMeter(const PodMeter&) = delete;
  PodMeter& operator=(const PodMeter&) = delete;

  // Keeps the ledger up to date from a thread of its own. `present` gives the UIDs of all pods
  // while the views of API server and runtime are whole and current, else nothing.
  void Start(std::function<std::optional<std::set<std::string>>()> present);
  // Idempotent. `present` is not called any more.
  void Stop();

  void OnMoment(const kube::Pod& pod, pod::PodMoment moment, WallTime when) override;
  void OnView(const pod::PodView& view, pod::PodStage stage, WallTime when) override;
  void OnGone(const std::string& uid, WallTime when) override;

 private:
  // While images of one pod are being got.
  struct Pulling {
    int open = 0;
    WallTime since;
    std::chrono::nanoseconds before{0};  // of times that are over
  };

  bool Begin(const kube::Pod& pod);
  void NotePull(const std::string& uid, bool begun, WallTime when);
  void Run();

  metering::Ledger& ledger_;
  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;                        // guards the four below
  std::map<std::string, Pulling> pulling_;  // by UID
  std::set<std::string> without_size_;      // those that were complained about
  std::condition_variable changed_;
  bool stopping_ = false;
  std::function<std::optional<std::set<std::string>>()> present_;
  std::thread thread_;
};

}  // namespace farlet::app
