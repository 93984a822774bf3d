#include "provider/pod/service_account_token.h"

#include "runtime/base/backoff.h"
#include "runtime/base/limiter.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <tuple>
#include <utility>

namespace farlet::pod {
namespace {

using Json = nlohmann::json;

constexpr seconds kMaxAge = std::chrono::hours(24);
constexpr double kMaxJitterSeconds = 10;
constexpr seconds kMinLife{1};
// An API server that has told us of a pod may yet have to hear of it in its authorizer: asked at
// once it refuses, the more often the more pods there are. The sandbox takes longer than this.
constexpr milliseconds kFirstAsk{50};
// More would not be answered sooner, and each of those beyond has to make a connection first.
constexpr int kAtOnce = 4;
// Begins within kube::kAuthorizerLag.
constexpr BackoffPolicy kRetry{.initial = milliseconds(100), .max = seconds(60)};

// Pod uid, audience, expiration.
using TokenKey = std::tuple<std::string, std::string, int64_t>;

// What is asked for again and again.
struct TokenRequest {
  std::string path;
  Json body;
  std::string shown;  // for messages
};

struct Token {
  std::string value;
  WallTime expires;
  seconds life{0};
};

TokenRequest MakeRequest(const kube::Pod& pod,
                         const kube::ServiceAccountTokenProjection& projection) {
  const std::string account =
      pod.spec.service_account_name.empty() ? "default" : pod.spec.service_account_name;
  Json spec = {
      {"expirationSeconds", projection.expiration.count()},
      {"boundObjectRef",
       {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod.meta.name}, {"uid", pod.meta.uid}}}};
  spec["audiences"] =
      projection.audience.empty() ? Json::array() : Json::array({projection.audience});
  return {.path = kube::ResourcePath("v1", "serviceaccounts", pod.meta.object_namespace, account,
                                     "token"),
          .body = {{"apiVersion", "authentication.k8s.io/v1"},
                   {"kind", "TokenRequest"},
                   {"spec", std::move(spec)}},
          .shown = fmt::format("{}/{}", pod.meta.object_namespace, account)};
}

Result<Token> ParseToken(const Json& answer, seconds wanted) {
  const auto text = [&](const char* key) -> std::string {
    const Json::json_pointer pointer(std::string("/status/") + key);
    return answer.contains(pointer) && answer[pointer].is_string()
               ? answer[pointer].get<std::string>()
               : "";
  };
  Token token{.value = text("token"), .life = wanted};
  if (token.value.empty()) {
    return Internal("the answer has no status.token");
  }
  FARLET_ASSIGN(token.expires,
                Annotate(ParseRfc3339(text("expirationTimestamp")), "status.expirationTimestamp"));
  const Json::json_pointer granted("/spec/expirationSeconds");
  if (answer.contains(granted) && answer[granted].is_number_integer()) {
    token.life = seconds(std::max<int64_t>(answer[granted].get<int64_t>(), kMinLife.count()));
  }
  return token;
}

Error NoLongerRead() {
  return Cancelled("service account tokens are no longer read");
}

}  // namespace

class ServiceAccountTokens::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(kube::Client& client, const Clock& clock, TimerService& timers, Listener listener)
      : client_(client), clock_(clock), timers_(timers), listener_(std::move(listener)) {}

  Result<TokenValue> Get(const kube::Pod& pod,
                         const kube::ServiceAccountTokenProjection& projection) {
    const TokenKey key{pod.meta.uid, projection.audience, projection.expiration.count()};
    const std::lock_guard lock(mutex_);
    if (closed_) {
      return NoLongerRead();
    }
    auto [found, added] = entries_.try_emplace(key);
    Entry& entry = found->second;
    if (added) {
      entry.request = MakeRequest(pod, projection);
      entry.wanted = projection.expiration;
      entry.asked_since = clock_.Now();
      ScheduleLocked(key, entry, kFirstAsk);
    }
    return AnswerLocked(entry);
  }

  void Forget(const std::string& uid) {
    const std::lock_guard lock(mutex_);
    const auto first = entries_.lower_bound({uid, "", std::numeric_limits<int64_t>::min()});
    auto last = first;
    while (last != entries_.end() && std::get<0>(last->first) == uid) {
      CancelTimer(last->second);
      ++last;
    }
    entries_.erase(first, last);
  }

  // No callback does anything any more.
  void Close() {
    const std::lock_guard lock(mutex_);
    for (auto& [key, entry] : entries_) {
      CancelTimer(entry);
    }
    entries_.clear();
    listener_ = nullptr;
    closed_ = true;
  }

 private:
  struct Entry {
    TokenRequest request;
    seconds wanted{0};
    SteadyTime asked_since;
    std::optional<Token> token;
    std::optional<Error> error;  // of the last try
    Backoff backoff{kRetry};
    // The try in flight; 0: none. An answer to another one comes too late.
    uint64_t attempt = 0;
    TimerService::Id timer = 0;
  };

  void CancelTimer(Entry& entry) {
    if (entry.timer != 0) {
      // One that is running finds nothing to do.
      timers_.Cancel(entry.timer);
      entry.timer = 0;
    }
  }

  Result<TokenValue> AnswerLocked(const Entry& entry) const {
    if (entry.token && clock_.WallNow() < entry.token->expires) {
      return TokenValue{entry.token->value};
    }
    if (entry.error) {
      Error error =
          Wrap("failed to fetch token of service account " + entry.request.shown, *entry.error);
      if (error.retryable || TooEarly(entry)) {
        error.code = Code::kUnavailable;
      }
      return error;
    }
    return Unavailable("token of service account " + entry.request.shown + " is being requested");
  }

  // Whether a refusal may come from an API server that has not yet heard of the pod's binding.
  bool TooEarly(const Entry& entry) const {
    return clock_.Now() - entry.asked_since < kube::kAuthorizerLag;
  }

  void Send(const TokenKey& key, uint64_t attempt) {
    TokenRequest request;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(key);
      if (found != entries_.end() && found->second.attempt == attempt) {
        request = found->second.request;
      }
    }
    if (request.path.empty()) {
      requests_.Done();  // forgotten while it waited for its turn
      return;
    }
    client_.Create(request.path, request.body, {},
                   [weak = weak_from_this(), key, attempt](const Result<Json>& answer) {
                     if (const auto self = weak.lock()) {
                       self->requests_.Done();
                       self->OnAnswer(key, attempt, answer);
                     }
                   });
  }

  void OnAnswer(const TokenKey& key, uint64_t attempt, const Result<Json>& answer) {
    Listener listener;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(key);
      if (found == entries_.end() || found->second.attempt != attempt) {
        return;
      }
      Entry& entry = found->second;
      entry.attempt = 0;
      Result<Token> token =
          answer ? ParseToken(*answer, entry.wanted) : Result<Token>(answer.error());
      if (token) {
        entry.token = *std::move(token);
        entry.error.reset();
        entry.backoff.Reset();
        ScheduleLocked(key, entry, RenewalDelay(*entry.token));
      } else {
        entry.error = std::move(token).error();
        log::Write(TooEarly(entry) ? log::Level::kDebug : log::Level::kWarning,
                   "cannot get a service account token",
                   {{"account", entry.request.shown}, {"error", *entry.error}});
        const milliseconds wait = entry.backoff.Next();
        ScheduleLocked(key, entry, std::max(wait, entry.error->retry_after.value_or(wait)));
      }
      listener = listener_;
    }
    if (listener) {
      listener(std::get<0>(key));
    }
  }

  // Until 80 % of the token's life are over, or it is a day old, less some seconds.
  milliseconds RenewalDelay(const Token& token) {
    const auto until_expiry =
        std::chrono::duration_cast<milliseconds>(token.expires - clock_.WallNow());
    const milliseconds life(token.life);
    const milliseconds before_expiry = until_expiry - life / 5;
    const milliseconds of_age = until_expiry - life + kMaxAge;
    std::uniform_real_distribution<double> jitter(0, kMaxJitterSeconds * 1000);
    const milliseconds early(static_cast<int64_t>(jitter(random_)));
    return std::max(std::min(before_expiry, of_age) - early, milliseconds(kMinLife));
  }

  void ScheduleLocked(const TokenKey& key, Entry& entry, milliseconds delay) {
    CancelTimer(entry);
    entry.timer = timers_.After(delay, [weak = weak_from_this(), key] {
      if (const auto self = weak.lock()) {
        self->Due(key);
      }
    });
  }

  void Due(const TokenKey& key) {
    uint64_t attempt = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(key);
      if (found == entries_.end() || found->second.attempt != 0) {
        return;
      }
      found->second.timer = 0;
      attempt = found->second.attempt = ++attempts_;
    }
    requests_.Submit([weak = weak_from_this(), key, attempt] {
      if (const auto self = weak.lock()) {
        self->Send(key, attempt);
      }
    });
  }

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  ConcurrencyLimiter requests_{kAtOnce};
  std::mutex mutex_;  // guards all below
  Listener listener_;
  bool closed_ = false;
  std::map<TokenKey, Entry> entries_;
  uint64_t attempts_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

ServiceAccountTokens::ServiceAccountTokens(kube::Client& client,
                                           const Clock& clock,
                                           TimerService& timers,
                                           Listener listener)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(listener))) {}

ServiceAccountTokens::~ServiceAccountTokens() {
  impl_->Close();
}

TokenLookup ServiceAccountTokens::For(std::shared_ptr<const kube::Pod> pod) {
  return [weak = std::weak_ptr(impl_), pod = std::move(pod)](
             const kube::ServiceAccountTokenProjection& projection) -> Result<TokenValue> {
    if (const auto impl = weak.lock()) {
      return impl->Get(*pod, projection);
    }
    return NoLongerRead();
  };
}

void ServiceAccountTokens::Forget(const std::string& pod_uid) {
  impl_->Forget(pod_uid);
}

}  // namespace farlet::pod
