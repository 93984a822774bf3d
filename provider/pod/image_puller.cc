#include "provider/pod/image_puller.h"

#include "provider/pod/image_backoff.h"
#include "provider/pod/image_credentials.h"
#include "runtime/base/gate.h"
#include "runtime/base/limiter.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

namespace farlet::pod {
namespace {

// Pulls are shared only by those who would be allowed the same.
std::string PullKey(const std::string& image, const std::vector<cri::ImageAuth>& credentials) {
  std::string key = image;
  for (const cri::ImageAuth& auth : credentials) {
    for (const std::string* part :
         {&auth.username, &auth.password, &auth.auth, &auth.server_address, &auth.identity_token,
          &auth.registry_token}) {
      key += '\0';
      key += *part;
    }
  }
  return key;
}

// The kubelet shows whole milliseconds.
std::string ShowDuration(std::chrono::nanoseconds duration) {
  return FormatGoDuration(std::chrono::duration_cast<milliseconds>(duration));
}

ReadyImage MakeReady(const cri::Image& image) {
  return {.ref = image.id, .uid = image.uid, .username = image.username};
}

}  // namespace

class ImagePuller::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(cri::Client& client, PodEvents events, const Clock& clock, Options options)
      : client_(client),
        events_(events),
        clock_(clock),
        options_(options),
        backoff_(options.first_backoff, options.longest_backoff),
        limiter_(std::make_shared<ConcurrencyLimiter>(options.max_parallel_pulls)) {}

  Gate& gate() { return gate_; }

  void Ensure(Request request, Done done);

  void Forget(const std::string& pod_uid) {
    const std::lock_guard lock(mutex_);
    backoff_.Forget(pod_uid);
  }

  void Distrust(const std::string& image) {
    const Result<std::string> name = NormalizeImage(image);
    const std::lock_guard lock(mutex_);
    present_.erase(name ? *name : image);
  }

 private:
  using Found = Result<std::shared_ptr<const cri::Image>>;
  using FoundDone = std::function<void(const Found& found)>;

  struct Present {
    std::shared_ptr<const cri::Image> image;
    SteadyTime seen;
  };

  // One who waits for an image.
  struct Waiter {
    Request request;
    std::string name;  // of the image, normalized
    SteadyTime asked;
    Done done;
  };

  struct Pull {
    std::vector<Waiter> waiters;
    std::string image;  // as the first who asked named it: the runtime completes it
    std::vector<cri::ImageAuth> credentials;
    size_t next_credential = 0;
    SteadyTime started;
  };

  void Look(const std::string& name, const std::string& image, FoundDone done);
  void OnLooked(const std::string& name, const Found& found);
  void OnPresence(Waiter waiter, const Found& found);
  void PullFor(Waiter waiter);
  void Try(const std::string& key, const std::string& name);
  void OnPulled(const std::string& key, const std::string& name, Result<std::string> pulled);
  void OnPulledLooked(const std::string& key, const std::string& name, const Found& found);
  void Deliver(const std::string& key, const Found& found);
  void Succeed(const Waiter& waiter, const cri::Image& image, SteadyTime pull_started);
  void Fail(const Waiter& waiter, std::string reason, std::string message, SteadyTime retry_at);

  cri::Client& client_;
  PodEvents events_;
  const Clock& clock_;
  const Options options_;
  Gate gate_;
  std::mutex mutex_;  // guards the four below
  ImageBackoff backoff_;
  std::map<std::string, Present> present_;
  std::map<std::string, std::vector<FoundDone>> looking_;
  std::map<std::string, Pull> pulls_;
  const std::shared_ptr<ConcurrencyLimiter> limiter_;
};

void ImagePuller::Impl::Ensure(Request request, Done done) {
  Waiter waiter{.request = std::move(request), .asked = clock_.Now(), .done = std::move(done)};
  const Request& asked = waiter.request;
  Result<std::string> name = NormalizeImage(asked.image);
  if (!name) {
    const std::string message = fmt::format("Failed to apply default image tag \"{}\": {}",
                                            asked.image, name.error().message);
    events_.Warning(*asked.pod, asked.container, "InspectFailed", message);
    Fail(waiter, "InvalidImageName", message, clock_.Now() + options_.longest_backoff);
    return;
  }
  waiter.name = std::move(*name);
  if (asked.policy == "Always") {
    PullFor(std::move(waiter));
    return;
  }
  const std::string key = waiter.name;
  const std::string image = asked.image;
  Look(key, image,
       [this, waiter = std::move(waiter)](const Found& found) { OnPresence(waiter, found); });
}

// Asks the runtime for an image; all who ask at the same time share one answer. `done` runs inside
// this object's gate.
void ImagePuller::Impl::Look(const std::string& name, const std::string& image, FoundDone done) {
  std::shared_ptr<const cri::Image> known;
  {
    const std::lock_guard lock(mutex_);
    const auto present = present_.find(name);
    if (present != present_.end() && clock_.Now() - present->second.seen < options_.present_for) {
      known = present->second.image;
    } else {
      std::vector<FoundDone>& asking = looking_[name];
      asking.push_back(std::move(done));
      if (asking.size() > 1) {
        return;
      }
    }
  }
  if (known) {
    done(Found(known));
    return;
  }
  client_.ImageStatus(image, [weak = weak_from_this(), name](const Found& found) {
    EnterStep(weak, [&](Impl& self) { self.OnLooked(name, found); });
  });
}

void ImagePuller::Impl::OnLooked(const std::string& name, const Found& found) {
  std::vector<FoundDone> asking;
  {
    const std::lock_guard lock(mutex_);
    asking = std::exchange(looking_[name], {});
    looking_.erase(name);
    if (found && *found) {
      present_[name] = {.image = *found, .seen = clock_.Now()};
    } else {
      present_.erase(name);
    }
  }
  for (const FoundDone& done : asking) {
    done(found);
  }
}

void ImagePuller::Impl::OnPresence(Waiter waiter, const Found& found) {
  const Request& asked = waiter.request;
  if (!found) {
    const std::string message =
        fmt::format("Failed to inspect image \"{}\": {}", asked.image, GoRpcText(found.error()));
    events_.Warning(*asked.pod, asked.container, "InspectFailed", message);
    Fail(waiter, "ImageInspectError", message, clock_.Now() + options_.first_backoff);
  } else if (*found) {
    const std::string message = fmt::format(
        "Container image \"{}\" already present on machine and can be accessed by the pod",
        asked.image);
    events_.Normal(*asked.pod, asked.container, "Pulled", message);
    waiter.done({.image = MakeReady(**found)});
  } else if (asked.policy == "Never") {
    const std::string message =
        fmt::format("Container image \"{}\" is not present with pull policy of Never", asked.image);
    events_.Warning(*asked.pod, asked.container, "ErrImageNeverPull", message);
    Fail(waiter, "ErrImageNeverPull", message, clock_.Now() + options_.first_backoff);
  } else {
    PullFor(std::move(waiter));
  }
}

void ImagePuller::Impl::PullFor(Waiter waiter) {
  const Request& asked = waiter.request;
  std::optional<ImageBackoff::Block> block;
  {
    const std::lock_guard lock(mutex_);
    block = backoff_.Find(asked.pod->meta.uid, asked.image, clock_.Now());
  }
  if (block) {
    const std::string text = fmt::format("Back-off pulling image \"{}\"", asked.image);
    events_.Normal(*asked.pod, asked.container, "BackOff", text);
    Fail(waiter, "ImagePullBackOff", text + ": ErrImagePull: " + block->last_error, block->until);
    return;
  }
  events_.Normal(*asked.pod, asked.container, "Pulling",
                 fmt::format("Pulling image \"{}\"", asked.image));
  const std::string name = waiter.name;
  const std::string key = PullKey(name, asked.credentials);
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[key];
    pull.credentials = asked.credentials;
    pull.image = asked.image;
    if (pull.credentials.empty()) {
      pull.credentials.emplace_back();
    }
    pull.waiters.push_back(std::move(waiter));
    if (pull.waiters.size() > 1) {
      return;
    }
  }
  // Once the gate is closed nobody waits for the limiter any more.
  limiter_->Submit([weak = weak_from_this(), key, name] {
    EnterStep(weak, [&](Impl& self) { self.Try(key, name); });
  });
}

void ImagePuller::Impl::Try(const std::string& key, const std::string& name) {
  cri::ImageAuth auth;
  std::string image;
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[key];
    if (pull.next_credential == 0) {
      pull.started = clock_.Now();
    }
    image = pull.image;
    auth = pull.credentials[pull.next_credential];
  }
  client_.PullImage(
      image, auth, nullptr, [weak = weak_from_this(), key, name](Result<std::string> pulled) {
        EnterStep(weak, [&](Impl& self) { self.OnPulled(key, name, std::move(pulled)); });
      });
}

void ImagePuller::Impl::OnPulled(const std::string& key,
                                 const std::string& name,
                                 Result<std::string> pulled) {
  std::string image;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    Pull& pull = pulls_[key];
    image = pull.image;
    again = !pulled && ++pull.next_credential < pull.credentials.size();
  }
  if (!pulled) {
    if (again) {
      Try(key, name);
      return;
    }
    limiter_->Done();
    Deliver(key, std::move(pulled).error());
    return;
  }
  limiter_->Done();
  client_.ImageStatus(image, [weak = weak_from_this(), key, name, ref = *pulled](Found found) {
    EnterStep(weak, [&](Impl& self) {
      if (found && !*found) {
        found = NotFound("the runtime does not show the image " + ref + " that it pulled");
      }
      self.OnPulledLooked(key, name, found);
    });
  });
}

void ImagePuller::Impl::OnPulledLooked(const std::string& key,
                                       const std::string& name,
                                       const Found& found) {
  if (found) {
    const std::lock_guard lock(mutex_);
    present_[name] = {.image = *found, .seen = clock_.Now()};
  }
  Deliver(key, found);
}

void ImagePuller::Impl::Deliver(const std::string& key, const Found& found) {
  Pull pull;
  {
    const std::lock_guard lock(mutex_);
    const auto entry = pulls_.find(key);
    if (entry == pulls_.end()) {
      return;
    }
    pull = std::move(entry->second);
    pulls_.erase(entry);
  }
  for (const Waiter& waiter : pull.waiters) {
    const Request& asked = waiter.request;
    if (found) {
      Succeed(waiter, **found, pull.started);
      continue;
    }
    const std::string text = GoRpcText(found.error());
    events_.Warning(*asked.pod, asked.container, "Failed",
                    fmt::format("Failed to pull image \"{}\": {}", asked.image, text));
    {
      const std::lock_guard lock(mutex_);
      backoff_.OnFailure(asked.pod->meta.uid, asked.image, text, clock_.Now());
    }
    Fail(waiter, "ErrImagePull", text, clock_.Now() + options_.show_error);
  }
}

void ImagePuller::Impl::Succeed(const Waiter& waiter,
                                const cri::Image& image,
                                SteadyTime pull_started) {
  const SteadyTime now = clock_.Now();
  const Request& asked = waiter.request;
  // Who joined a pull that ran already waited less than it took.
  const auto pulling = std::min(now - pull_started, now - waiter.asked);
  events_.Normal(
      *asked.pod, asked.container, "Pulled",
      fmt::format(
          "Successfully pulled image \"{}\" in {} ({} including waiting). Image size: {} bytes.",
          asked.image, ShowDuration(pulling), ShowDuration(now - waiter.asked), image.size_bytes));
  waiter.done({.image = MakeReady(image)});
}

void ImagePuller::Impl::Fail(const Waiter& waiter,
                             std::string reason,
                             std::string message,
                             SteadyTime retry_at) {
  const Request& asked = waiter.request;
  events_.Warning(*asked.pod, asked.container, "Failed", "Error: " + reason);
  waiter.done({.failure = {.reason = std::move(reason), .message = std::move(message)},
               .retry_at = retry_at});
}

ImagePuller::ImagePuller(cri::Client& client, PodEvents events, const Clock& clock, Options options)
    : impl_(std::make_shared<Impl>(client, events, clock, options)) {}

ImagePuller::~ImagePuller() {
  impl_->gate().Close();
}

void ImagePuller::Ensure(Request request, Done done) {
  impl_->Ensure(std::move(request), std::move(done));
}

void ImagePuller::Forget(const std::string& pod_uid) {
  impl_->Forget(pod_uid);
}

void ImagePuller::Distrust(const std::string& image) {
  impl_->Distrust(image);
}

}  // namespace farlet::pod
