#pragma once

#include "kube/api/pod.h"
#include "provider/pod/image.h"
#include "provider/pod/pod_events.h"
#include "provider/pod/status.h"
#include "runtime/base/clock.h"
#include "runtime/cri/client.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace farlet::pod {

// Makes images present, as pods ask for them (kubelet-contract B2.3, B2.4, B6).
//
//   Ensure ──► present? ──yes──► done                 (IfNotPresent, Never)
//                 │ no / Always
//                 ├─ Never ──► ErrImageNeverPull
//                 ├─ in back-off ──► ImagePullBackOff
//                 └─► pull (limited; one for all who ask for the same with the same credentials)
//                        ├─ ok ──► done
//                        └─ every credential failed ──► ErrImagePull, back-off 10 s → 300 s
//
// Thread safe. `done` runs exactly once, on the caller's thread or one of the CRI client's, and
// must not block. The puller may be destroyed at any time but in `done`: what is in flight ends
// unheard.
class ImagePuller {
 public:
  struct Options {
    int max_parallel_pulls = 5;
    seconds first_backoff{10};
    seconds longest_backoff{300};
    // How long ErrImagePull is shown before it turns into ImagePullBackOff.
    milliseconds show_error{2000};
    // How long an image that was seen is taken for present without asking again.
    milliseconds present_for{5000};
  };

  struct Request {
    std::shared_ptr<const kube::Pod> pod;
    std::string container;
    std::string image;   // as the spec says
    std::string policy;  // imagePullPolicy
    std::vector<cri::ImageAuth> credentials;
  };

  struct Outcome {
    std::optional<ReadyImage> image;
    // Why not, and when to ask again.
    WaitingReason failure;
    SteadyTime retry_at;
  };

  using Done = std::function<void(Outcome outcome)>;

  // What is referred to (the recorder behind `events` too) outlives the puller.
  ImagePuller(cri::Client& client, PodEvents events, const Clock& clock, Options options);
  ~ImagePuller();

  void Ensure(Request request, Done done);
  // The pod is gone: forgets its back-offs.
  void Forget(const std::string& pod_uid);
  // A container could not be made of the image: ask the runtime again next time.
  void Distrust(const std::string& image);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace farlet::pod
