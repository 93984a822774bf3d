#include "kube/client/watch_call.h"

#include "kube/client/escape.h"
#include "kube/client/http_status.h"

#include <utility>

namespace farlet::kube {
namespace {

constexpr milliseconds kOpenTimeout{30'000};
constexpr size_t kMaxRefusal = size_t{1} << 20;

std::string WatchTarget(const std::string& path, Query query) {
  query["watch"] = "true";
  return Target(path, query);
}

}  // namespace

WatchCall::WatchCall(std::shared_ptr<ClientCore> core,
                     const std::string& path,
                     const WatchOptions& options,
                     WatchHandlers handlers)
    : core_(std::move(core)),
      path_(path),
      what_("WATCH " + path),
      target_(WatchTarget(path, options.query)),
      silence_(options.silence),
      handlers_(std::move(handlers)) {}

void WatchCall::Start() {
  if (!core_->Register(shared_from_this())) {
    Abort();
    return;
  }
  Attempt();
}

void WatchCall::Abort() {
  core_->transport().Post([self = shared_from_this()] {
    self->End(Cancelled(self->what_ + ": the client was closed"));
  });
}

void WatchCall::Close() {
  {
    const std::lock_guard lock(handler_mutex_);
    closed_ = true;
  }
  Abort();
}

void WatchCall::Attempt() {
  core_->Prepare(core_->clock().Now() + kOpenTimeout,
                 [self = shared_from_this()](Result<CredentialPtr> credential) {
                   if (self->ended_) {
                     return;
                   }
                   if (!credential) {
                     self->End(Wrap(self->what_, std::move(credential).error()));
                   } else {
                     self->Open(**credential);
                   }
                 });
}

void WatchCall::Open(const Credential& credential) {
  core_->Count("WATCH", path_, refreshed_);
  const std::weak_ptr<WatchCall> weak = weak_from_this();
  stream_ = core_->transport().OpenStream(
      {.method = "GET", .target = target_, .headers = core_->HeadersFor(credential)},
      {.open_timeout = kOpenTimeout, .silence = silence_},
      {.on_head =
           [weak](const http::Response& head) {
             if (const auto self = weak.lock()) {
               self->status_ = head.status;
             }
           },
       .on_data =
           [weak](std::string_view data) {
             if (const auto self = weak.lock()) {
               self->HandleData(data);
             }
           },
       .on_end =
           [weak, generation = credential.generation](Status end) {
             if (const auto self = weak.lock()) {
               self->HandleEnd(std::move(end), generation);
             }
           }});
}

void WatchCall::HandleData(std::string_view data) {
  if (ended_) {
    return;
  }
  if (status_ != 200) {
    refusal_.append(data.substr(0, kMaxRefusal - std::min(kMaxRefusal, refusal_.size())));
    return;
  }
  Status fed = decoder_.Feed(data, what_, [this](Json event) {
    const std::lock_guard lock(handler_mutex_);
    if (!closed_) {
      handlers_.on_event(std::move(event));
    }
    return !closed_;
  });
  if (!fed) {
    End(std::move(fed));
  }
}

void WatchCall::HandleEnd(Status end, uint64_t generation) {
  if (ended_) {
    return;
  }
  if (status_ == 401 && !refreshed_) {
    refreshed_ = true;
    core_->credentials().Invalidate(generation);
    status_ = 0;
    refusal_.clear();
    Attempt();
  } else if (status_ != 0 && status_ != 200) {
    End(ErrorFromAnswer(what_, status_, refusal_));
  } else if (!end) {
    End(core_->Unanswered(what_, std::move(end).error()));
  } else if (decoder_.InEvent()) {
    End(Unavailable(what_ + ": the stream ended within an event"));
  } else {
    End({});
  }
}

void WatchCall::End(Status end) {
  if (std::exchange(ended_, true)) {
    return;
  }
  const auto self = shared_from_this();
  stream_.reset();
  {
    const std::lock_guard lock(handler_mutex_);
    if (!closed_) {
      handlers_.on_end(std::move(end));
    }
  }
  core_->Unregister(self);
}

}  // namespace farlet::kube
