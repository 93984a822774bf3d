#include "provider/node/certificate_manager.h"

#include "provider/node/certificate_request.h"
#include "runtime/base/backoff.h"
#include "runtime/base/file.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace farlet::node {
namespace {

constexpr BackoffPolicy kRetry{.initial = milliseconds(2000), .max = milliseconds(120'000)};
constexpr seconds kNoClientRetry(1);
// Wall time may jump: the next look is never further away.
constexpr std::chrono::hours kLongestWait(1);
constexpr double kRotateFrom = 0.7;
constexpr double kRotateTo = 0.9;

std::vector<std::string> Sorted(std::vector<std::string> values) {
  std::sort(values.begin(), values.end());
  return values;
}

// The key and the rest of a PEM text; empty key: there is none.
KeyPair Split(const std::string& pem) {
  constexpr std::string_view kEnd = "PRIVATE KEY-----\n";
  KeyPair pair;
  size_t begin = pem.find("-----BEGIN PRIVATE KEY-----");
  if (begin == std::string::npos) {
    begin = pem.find("-----BEGIN EC PRIVATE KEY-----");
  }
  if (begin == std::string::npos) {
    return {.certificate_pem = pem};
  }
  const size_t first = pem.find(kEnd, begin);
  const size_t second = first == std::string::npos ? first : pem.find(kEnd, first + kEnd.size());
  const size_t end = second == std::string::npos ? pem.size() : second + kEnd.size();
  pair.key_pem = pem.substr(begin, end - begin);
  pair.certificate_pem = pem.substr(0, begin) + pem.substr(end);
  return pair;
}

}  // namespace

bool Fits(const kube::CertificateInfo& info,
          const kube::CertificateSubject& subject,
          WallTime now) {
  return info.not_before <= now && now < info.not_after &&
         info.common_name == subject.common_name &&
         Sorted(info.organizations) == Sorted(subject.organizations) &&
         Sorted(info.dns_names) == Sorted(subject.dns_names) &&
         Sorted(info.ip_addresses) == Sorted(subject.ip_addresses);
}

class CertificateManager::Impl : public std::enable_shared_from_this<CertificateManager::Impl> {
 public:
  Impl(const Clock& clock, TimerService& timers, CertificateManagerOptions options)
      : clock_(clock), timers_(timers), options_(std::move(options)) {}

  Gate& gate() { return gate_; }

  void Start() {
    EnterStep(weak_from_this(), [](Impl& self) {
      self.ReadStored();
      self.Check();
    });
  }

  void Stop() {
    gate_.Close();
    std::unique_ptr<CertificateRequest> request;
    {
      const std::lock_guard lock(mutex_);
      if (timer_) {
        timers_.Cancel(*timer_);
        timer_.reset();
      }
      request = std::move(request_);
    }
  }

  // The work is done on the timer's thread, where requests may be destroyed.
  void Check() {
    const std::lock_guard lock(mutex_);
    LookAfter(milliseconds(0));
  }

  bool usable() const {
    const std::lock_guard lock(mutex_);
    return UsableLocked();
  }

 private:
  bool UsableLocked() const {
    return held_ && held_->not_before <= clock_.WallNow() && clock_.WallNow() < held_->not_after;
  }

  void ReadStored() {
    const Result<std::string> text = ReadFile(options_.path, 1U << 20);
    if (!text) {
      if (text.error().code != Code::kNotFound) {
        log::Warning("the stored certificate cannot be read, asking for another",
                     {{"error", text.error()}});
      }
      return;
    }
    const KeyPair pair = Split(*text);
    const Result<kube::CertificateInfo> info = kube::ParseCertificate(pair.certificate_pem);
    const Status matches = kube::CheckKeyMatches(pair.certificate_pem, pair.key_pem);
    const std::string path = options_.path.string();
    if (!info || !matches) {
      log::Warning("the stored certificate is of no use, asking for another",
                   {{"path", path}, {"error", info ? matches.error() : info.error()}});
      return;
    }
    if (!Fits(*info, options_.subject(), clock_.WallNow())) {
      log::Warning("the stored certificate has expired or is not this node's, asking for another",
                   {{"path", path},
                    {"subject", info->common_name},
                    {"expires", FormatRfc3339(info->not_after)}});
      return;
    }
    Hold(*info);
    options_.on_change(pair);
  }

  void Hold(const kube::CertificateInfo& info) {
    const auto life = std::chrono::duration<double>(info.not_after - info.not_before);
    const std::lock_guard lock(mutex_);
    std::uniform_real_distribution<double> share(kRotateFrom, kRotateTo);
    rotate_at_ =
        info.not_before + std::chrono::duration_cast<WallTime::duration>(life * share(random_));
    held_ = info;
  }

  // Needs mutex_.
  void LookAfter(std::chrono::nanoseconds delay) {
    if (timer_) {
      timers_.Cancel(*timer_);
    }
    timer_ = timers_.After(
        delay, [weak = weak_from_this()] { EnterStep(weak, [](Impl& self) { self.Look(); }); });
  }

  // What there is to do now.
  void Look() {
    std::unique_ptr<CertificateRequest> ended;
    std::optional<Result<std::string>> answer;
    {
      const std::lock_guard lock(mutex_);
      timer_.reset();
      if (request_ != nullptr && !answer_) {
        return;  // it is under way and will say
      }
      ended = std::move(request_);
      answer = std::exchange(answer_, std::nullopt);
    }
    ended.reset();
    if (answer) {
      const Status taken = Take(std::move(*answer));
      if (!taken) {
        Failed(taken.error());
        return;
      }
    }
    const kube::CertificateSubject subject = options_.subject();
    bool usable = false;
    {
      const std::lock_guard lock(mutex_);
      const WallTime now = clock_.WallNow();
      usable = UsableLocked();
      if (held_ && Fits(*held_, subject, now) && now < rotate_at_) {
        LookAfter(std::min<std::chrono::nanoseconds>(rotate_at_ - now, kLongestWait));
        return;
      }
    }
    Request(subject, usable);
  }

  void Request(const kube::CertificateSubject& subject, bool usable) {
    kube::Client* client = options_.client(usable);
    if (client == nullptr) {
      if (!usable && !std::exchange(said_nobody_, true)) {
        log::Error("there is no valid certificate and no bootstrap kubeconfig to ask for one with",
                   {{"path", options_.path.string()}});
      }
      const std::lock_guard lock(mutex_);
      LookAfter(kNoClientRetry);
      return;
    }
    Result<std::string> key = kube::GeneratePrivateKey();
    Result<std::string> csr = key ? kube::MakeCertificateRequest(*key, subject) : key;
    if (!csr) {
      Failed(csr.error());
      return;
    }
    key_pem_ = *std::move(key);
    auto request = std::make_unique<CertificateRequest>(
        *client, clock_, timers_,
        SigningRequest{
            .signer = options_.signer, .usages = options_.usages, .csr_pem = *std::move(csr)},
        [weak = weak_from_this()](Result<std::string> chain) {
          EnterStep(weak, [&](Impl& self) {
            const std::lock_guard lock(self.mutex_);
            self.answer_ = std::move(chain);
            self.LookAfter(milliseconds(0));
          });
        });
    CertificateRequest& started = *request;
    {
      const std::lock_guard lock(mutex_);
      request_ = std::move(request);
    }
    // Only this thread and Stop(), which waits for this step, destroy it.
    started.Start();
  }

  Status Take(Result<std::string> chain) {
    if (!chain) {
      return chain.error();
    }
    FARLET_ASSIGN(const kube::CertificateInfo info, kube::ParseCertificate(*chain));
    FARLET_TRY(kube::CheckKeyMatches(*chain, key_pem_));
    const KeyPair pair{.certificate_pem = *chain, .key_pem = std::exchange(key_pem_, {})};
    FARLET_TRY(MakeDirectories(options_.path.parent_path(), 0700));
    FARLET_TRY(WriteFileAtomic(options_.path, pair.certificate_pem + pair.key_pem, 0600));
    backoff_.Reset();
    Hold(info);
    log::Info("got a certificate", {{"path", options_.path.string()},
                                    {"subject", info.common_name},
                                    {"expires", FormatRfc3339(info.not_after)}});
    options_.on_change(pair);
    return {};
  }

  void Failed(const Error& error) {
    log::Error("no certificate yet, trying again", {{"signer", options_.signer}, {"error", error}});
    const std::lock_guard lock(mutex_);
    LookAfter(std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0))));
  }

  const Clock& clock_;
  TimerService& timers_;
  const CertificateManagerOptions options_;
  Gate gate_;

  // Used by the one step that is running.
  Backoff backoff_{kRetry};
  std::string key_pem_;  // of the request that is under way
  bool said_nobody_ = false;

  mutable std::mutex mutex_;  // guards all below
  std::minstd_rand random_{std::random_device{}()};
  std::optional<kube::CertificateInfo> held_;
  WallTime rotate_at_;
  std::optional<TimerService::Id> timer_;
  std::unique_ptr<CertificateRequest> request_;
  std::optional<Result<std::string>> answer_;  // of request_
};

CertificateManager::CertificateManager(const Clock& clock,
                                       TimerService& timers,
                                       CertificateManagerOptions options)
    : impl_(std::make_shared<Impl>(clock, timers, std::move(options))) {}

CertificateManager::~CertificateManager() {
  impl_->Stop();
}

void CertificateManager::Start() {
  impl_->Start();
}

void CertificateManager::Stop() {
  impl_->Stop();
}

void CertificateManager::Check() {
  impl_->Check();
}

bool CertificateManager::usable() const {
  return impl_->usable();
}

}  // namespace farlet::node
