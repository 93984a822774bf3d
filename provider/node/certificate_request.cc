#include "provider/node/certificate_request.h"

#include "kube/watch/list_watch.h"
#include "runtime/base/base64.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <utility>

namespace farlet::node {
namespace {

using kube::Json;

constexpr char kGroupVersion[] = "certificates.k8s.io/v1";
constexpr char kResource[] = "certificatesigningrequests";
constexpr std::chrono::minutes kPatience(15);

std::string Text(const Json& object, const char* member) {
  return object.is_object() ? object.value(member, "") : std::string();
}

}  // namespace

class CertificateRequest::Impl : public std::enable_shared_from_this<CertificateRequest::Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       SigningRequest request,
       Callback<std::string> done)
      : client_(client),
        clock_(clock),
        timers_(timers),
        request_(std::move(request)),
        done_(std::move(done)) {}

  Gate& gate() { return gate_; }

  void Start() {
    const Json csr{{"apiVersion", kGroupVersion},
                   {"kind", "CertificateSigningRequest"},
                   {"metadata", {{"generateName", "csr-"}}},
                   {"spec",
                    {{"request", EncodeBase64(request_.csr_pem)},
                     {"signerName", request_.signer},
                     {"usages", request_.usages}}}};
    client_.Create(kube::ResourcePath(kGroupVersion, kResource, {}, {}), csr, {.retry = false},
                   [weak = weak_from_this()](Result<Json> answer) {
                     EnterStep(weak, [&](Impl& self) { self.OnCreated(std::move(answer)); });
                   });
  }

  void Close() {
    gate_.Close();
    std::unique_ptr<kube::ListWatch> watch;
    {
      const std::lock_guard lock(mutex_);
      if (timer_) {
        timers_.Cancel(*timer_);
      }
      watch = std::move(watch_);
    }
  }

 private:
  void OnCreated(Result<Json> answer) {
    if (!answer) {
      Finish(Wrap("create a certificate signing request", answer.error()));
      return;
    }
    name_ = Text(answer->value("metadata", Json()), "name");
    log::Info("asked for a certificate", {{"csr", name_}, {"signer", request_.signer}});
    kube::ListWatchOptions options;
    options.path = kube::ResourcePath(kGroupVersion, kResource, {}, {});
    options.query["fieldSelector"] = "metadata.name=" + name_;
    const std::lock_guard lock(mutex_);
    watch_ = std::make_unique<kube::ListWatch>(
        client_, clock_, timers_, std::move(options),
        [this](kube::ListWatch::Change change) { OnChange(change); });
    watch_->Start();
    timer_ = timers_.After(kPatience, [weak = weak_from_this()] {
      EnterStep(weak, [](Impl& self) {
        self.Finish(MakeError(
            Code::kDeadlineExceeded,
            fmt::format("csr {}: not approved and signed within 15 minutes", self.name_)));
      });
    });
  }

  void OnChange(const kube::ListWatch::Change& change) {
    if (change.kind == kube::ListWatch::Change::Kind::kDelete) {
      Finish(MakeError(Code::kAborted, fmt::format("csr {}: it was deleted", name_)));
      return;
    }
    // A list from the server's cache may be older than the request: that it is missing there means
    // nothing.
    for (const Json& csr : change.objects) {
      OnSeen(csr.value("status", Json::object()));
    }
  }

  void OnSeen(const Json& status) {
    const Json conditions = status.value("conditions", Json::array());
    for (const Json& condition : conditions) {
      const std::string type = Text(condition, "type");
      if (type == "Denied" || type == "Failed") {
        Finish(MakeError(Code::kPermissionDenied,
                         fmt::format("csr {}: {}: {}: {}", name_, type, Text(condition, "reason"),
                                     Text(condition, "message"))));
        return;
      }
    }
    const std::string encoded = Text(status, "certificate");
    if (!encoded.empty()) {
      Finish(Annotate(DecodeBase64(encoded), fmt::format("csr {}: status.certificate", name_)));
    }
  }

  void Finish(Result<std::string> result) {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(finished_, true)) {
        return;
      }
      if (timer_) {
        timers_.Cancel(*timer_);
        timer_.reset();
      }
    }
    done_(std::move(result));
  }

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const SigningRequest request_;
  const Callback<std::string> done_;
  Gate gate_;
  std::string name_;  // set before the watch starts
  std::mutex mutex_;  // guards all below
  bool finished_ = false;
  std::optional<TimerService::Id> timer_;
  std::unique_ptr<kube::ListWatch> watch_;  // its handler does not outlive it
};

CertificateRequest::CertificateRequest(kube::Client& client,
                                       const Clock& clock,
                                       TimerService& timers,
                                       SigningRequest request,
                                       Callback<std::string> done)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(request), std::move(done))) {}

CertificateRequest::~CertificateRequest() {
  impl_->Close();
}

void CertificateRequest::Start() {
  impl_->Start();
}

}  // namespace farlet::node
