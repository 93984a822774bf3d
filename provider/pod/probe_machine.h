#pragma once

#include "kube/api/pod.h"
#include "provider/pod/probe_results.h"

#include <utility>

namespace farlet::pod {

// Counts the outcomes of one probe of one container instance (kubelet-contract B3): the verdict
// changes after failureThreshold or successThreshold equal outcomes in a row. Pure.
class ProbeMachine {
 public:
  enum class Verdict { kUnknown, kSuccess, kFailure };

  // Readiness starts as failed, liveness as fine, startup as unknown.
  ProbeMachine(ProbeType type, const kube::Probe& probe)
      : type_(type),
        success_threshold_(probe.success_threshold),
        failure_threshold_(probe.failure_threshold),
        verdict_(type == ProbeType::kStartup    ? Verdict::kUnknown
                 : type == ProbeType::kLiveness ? Verdict::kSuccess
                                                : Verdict::kFailure) {}

  // An adopted container keeps what was last known of it.
  void Adopt(Verdict verdict) { verdict_ = verdict; }

  // True when the verdict changed.
  bool OnOutcome(bool success) {
    run_ = success == last_success_ ? run_ + 1 : 1;
    last_success_ = success;
    if (run_ < (success ? success_threshold_ : failure_threshold_)) {
      return false;
    }
    const Verdict verdict = success ? Verdict::kSuccess : Verdict::kFailure;
    // Of liveness and startup a failure is final for this instance, and so is a startup success.
    final_ = type_ != ProbeType::kReadiness && (!success || type_ == ProbeType::kStartup);
    return std::exchange(verdict_, verdict) != verdict;
  }

  Verdict verdict() const { return verdict_; }

  // Nothing more is to be learnt about this instance.
  bool final() const { return final_; }

 private:
  ProbeType type_;
  int success_threshold_;
  int failure_threshold_;
  Verdict verdict_;
  bool final_ = false;
  bool last_success_ = false;
  int run_ = 0;
};

}  // namespace farlet::pod
