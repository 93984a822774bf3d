#include "kube/client/client_core.h"

#include "runtime/base/log.h"

#include <utility>

namespace farlet::kube {

ClientCore::ClientCore(const ClusterAccess& access,
                       std::unique_ptr<http::Transport> transport,
                       const Clock& clock,
                       TimerService& timers,
                       const ClientOptions& options)
    : server_(access.server),
      tls_server_name_(access.tls_server_name),
      credentials_(access.credentials),
      user_agent_(options.user_agent),
      stats_(options.stats),
      clock_(clock),
      timers_(timers),
      bucket_(options.qps, options.burst, clock.Now()),
      transport_(std::move(transport)) {}

bool ClientCore::Register(const std::shared_ptr<InFlight>& item) {
  const std::lock_guard lock(mutex_);
  return !stopping_ && in_flight_.insert(item).second;
}

void ClientCore::Unregister(const std::shared_ptr<InFlight>& item) {
  const std::lock_guard lock(mutex_);
  in_flight_.erase(item);
  changed_.notify_all();
}

void ClientCore::Shutdown() {
  std::set<std::shared_ptr<InFlight>> items;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    items = in_flight_;
  }
  for (const auto& item : items) {
    item->Abort();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return in_flight_.empty(); });
}

void ClientCore::Prepare(SteadyTime deadline, Callback<CredentialPtr> done) {
  const SteadyTime now = clock_.Now();
  const auto wait = bucket_.Take(now, deadline - now);
  if (!wait) {
    transport_->Post([done = std::move(done)] {
      done(MakeError(Code::kDeadlineExceeded, "too many requests of our own are waiting"));
    });
  } else if (wait->count() == 0) {
    Authenticate(std::move(done));
  } else {
    timers_.After(*wait, [weak = weak_from_this(), done = std::move(done)] {
      if (const auto self = weak.lock()) {
        self->Authenticate(done);
      }
    });
  }
}

void ClientCore::Authenticate(Callback<CredentialPtr> done) {
  transport_->Post([self = shared_from_this(), done = std::move(done)] {
    self->credentials_->Get(
        [weak = self->weak_from_this(), done](Result<CredentialPtr> credential) {
          if (const auto core = weak.lock()) {
            core->transport_->Dispatch([core, done, credential = std::move(credential)] {
              const Status usable = credential ? core->UseTls(**credential) : Status();
              done(usable ? credential : Result<CredentialPtr>(usable.error()));
            });
          }
        });
  });
}

Status ClientCore::UseTls(const Credential& credential) {
  if (tls_generation_ == credential.tls_generation) {
    return {};
  }
  Status set = transport_->SetTls({.ca_pem = credential.ca_pem,
                                   .certificate_pem = credential.certificate_pem,
                                   .key_pem = credential.key_pem,
                                   .server_name = tls_server_name_});
  if (set) {
    tls_generation_ = credential.tls_generation;
  } else if (tls_generation_ != 0) {
    log::Warning("new TLS credentials cannot be used; keeping the old", {{"error", set.error()}});
    return {};
  }
  return set;
}

void ClientCore::Count(const std::string& verb, const std::string& path, bool retry) {
  if (stats_) {
    stats_->Count(verb, path, retry);
  }
}

http::Headers ClientCore::HeadersFor(const Credential& credential) const {
  http::Headers headers{{"User-Agent", user_agent_}, {"Accept", "application/json"}};
  if (!credential.bearer_token.empty()) {
    headers.emplace_back("Authorization", "Bearer " + credential.bearer_token);
  }
  return headers;
}

Error ClientCore::Unanswered(std::string_view what, Error error) const {
  return Wrap(what, Wrap(server_, std::move(error)));
}

}  // namespace farlet::kube
