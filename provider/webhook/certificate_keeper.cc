#include "provider/webhook/certificate_keeper.h"

#include "kube/watch/list_watch.h"
#include "runtime/base/base64.h"
#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

namespace farlet::webhook {
namespace {

using kube::Json;
using Change = kube::ListWatch::Change;

constexpr char kAdmission[] = "admissionregistration.k8s.io/v1";

std::string VersionOf(const Json& object) {
  return object.value(Json::json_pointer("/metadata/resourceVersion"), "");
}

// Versions of one resource grow, and count as numbers (Kubernetes API conventions).
bool IsOlder(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// The patch that gives all webhooks of `configuration` this bundle; empty: they have it.
Json BundlePatch(const Json& configuration, const std::string& bundle) {
  Json patch = Json::array();
  const Json webhooks = configuration.value("webhooks", Json::array());
  for (size_t i = 0; i < webhooks.size(); ++i) {
    const Json client = webhooks[i].value("clientConfig", Json::object());
    if (client.value("caBundle", "") == bundle) {
      continue;
    }
    const std::string at = fmt::format("/webhooks/{}", i);
    // They may have been reordered in the meantime.
    patch.push_back(
        {{"op", "test"}, {"path", at + "/name"}, {"value", webhooks[i].value("name", "")}});
    patch.push_back({{"op", "add"}, {"path", at + "/clientConfig/caBundle"}, {"value", bundle}});
  }
  return patch;
}

}  // namespace

class CertificateKeeper::Impl : public std::enable_shared_from_this<CertificateKeeper::Impl> {
 public:
  Impl(kube::Client& client,
       const Clock& clock,
       TimerService& timers,
       CertificateKeeperOptions options)
      : client_(client), clock_(clock), timers_(timers), options_(std::move(options)) {}

  Gate& gate() { return gate_; }

  void Start() {
    const std::lock_guard lock(mutex_);
    if (secret_watch_ != nullptr) {
      return;
    }
    secret_watch_ = Watch(kube::ResourcePath("v1", "secrets", options_.object_namespace, {}),
                          options_.secret_name, secret_);
    secret_watch_->Start();
    if (!options_.configuration_name.empty()) {
      configuration_watch_ =
          Watch(kube::ResourcePath(kAdmission, "mutatingwebhookconfigurations", {}, {}),
                options_.configuration_name, configuration_);
      configuration_watch_->Start();
    }
  }

  void Stop() {
    gate_.Close();
    std::unique_ptr<kube::ListWatch> secret;
    std::unique_ptr<kube::ListWatch> configuration;
    {
      const std::lock_guard lock(mutex_);
      if (timer_) {
        timers_.Cancel(*timer_);
      }
      secret = std::move(secret_watch_);
      configuration = std::move(configuration_watch_);
    }
  }

  void SetLeading(bool leading) {
    {
      const std::lock_guard lock(mutex_);
      leading_ = leading;
    }
    EnterStep(weak_from_this(), [](Impl& self) { self.Look(); });
  }

  bool usable() const { return usable_; }

 private:
  // One object that is watched. Guarded by mutex_.
  struct Seen {
    bool known = false;  // whether it is there is
    std::optional<Json> object;
    std::string version;  // of the newest that was heard of it
  };

  // An answer and the watch may cross: what is older than what is known is no news. Needs mutex_.
  static void Take(Seen& seen, std::optional<Json> object, const std::string& version) {
    if (!version.empty() && IsOlder(version, seen.version)) {
      return;
    }
    seen.known = true;
    seen.version = version.empty() ? seen.version : version;
    seen.object = std::move(object);
  }

  std::unique_ptr<kube::ListWatch> Watch(std::string path, const std::string& name, Seen& seen) {
    kube::ListWatchOptions options{.path = std::move(path),
                                   .query = {{"fieldSelector", "metadata.name=" + name}}};
    return std::make_unique<kube::ListWatch>(
        client_, clock_, timers_, std::move(options),
        [weak = weak_from_this(), &seen](Change change) {
          EnterStep(weak, [&](Impl& self) { self.OnChange(seen, std::move(change)); });
        });
  }

  void OnChange(Seen& seen, Change change) {
    {
      const std::lock_guard lock(mutex_);
      std::optional<Json> object;
      std::string version;
      if (!change.objects.empty()) {
        version = VersionOf(change.objects.front());
        if (change.kind != Change::Kind::kDelete) {
          object = std::move(change.objects.front());
        }
      }
      Take(seen, std::move(object), version);
    }
    Look();
  }

  // Serves what is in the Secret, and does what is due if it is for this replica to do.
  void Look() {
    std::optional<Json> secret;
    std::optional<Json> configuration;
    bool leading = false;
    {
      const std::lock_guard lock(mutex_);
      if (!secret_.known || busy_) {
        dirty_ = busy_;
        return;
      }
      secret = secret_.object;
      configuration = configuration_.object;
      leading = leading_;
      busy_ = true;
    }
    const std::optional<CertificateSet> current = Read(secret);
    if (current && current != serving_) {
      serving_ = current;
      options_.on_change(*current);
      usable_ = true;
    }
    if (!leading || !Act(secret, current, configuration)) {
      Rest();
    }
  }

  static std::optional<CertificateSet> Read(const std::optional<Json>& secret) {
    if (!secret) {
      return std::nullopt;
    }
    auto set = SetOf(*secret);
    if (!set) {
      log::Warning("the webhook's Secret cannot be used, it is made anew",
                   {{"error", set.error()}});
      return std::nullopt;
    }
    return *std::move(set);
  }

  // True when a request has been sent.
  bool Act(const std::optional<Json>& secret,
           const std::optional<CertificateSet>& current,
           const std::optional<Json>& configuration) {
    if (!current && serving_) {
      // Somebody deleted or broke it; what is served and trusted goes on.
      Write(*serving_, secret);
      return true;
    }
    auto due = Renew(current, options_.policy, clock_.WallNow());
    if (!due) {
      log::Error("cannot make the webhook's certificate", {{"error", due.error()}});
      return false;
    }
    if (*due) {
      Write(**due, secret);
      return true;
    }
    if (!configuration) {
      return false;
    }
    const Json patch = BundlePatch(*configuration, EncodeBase64(current->ca_pem));
    if (patch.empty()) {
      return false;
    }
    client_.Patch(kube::ResourcePath(kAdmission, "mutatingwebhookconfigurations", {},
                                     options_.configuration_name),
                  kube::PatchType::kJson, patch, {.retry = false},
                  Then("patch the caBundle", configuration_));
    return true;
  }

  void Write(const CertificateSet& set, const std::optional<Json>& secret) {
    Json object = SecretOf(set);
    object["metadata"] = {{"name", options_.secret_name}, {"namespace", options_.object_namespace}};
    if (!secret) {
      client_.Create(kube::ResourcePath("v1", "secrets", options_.object_namespace, {}), object,
                     {.retry = false}, Then("create the Secret", secret_));
      return;
    }
    // Whoever wrote it in the meantime wins.
    object["metadata"] = (*secret)["metadata"];
    object["type"] = secret->value("type", "kubernetes.io/tls");
    client_.Replace(
        kube::ResourcePath("v1", "secrets", options_.object_namespace, options_.secret_name),
        object, {.retry = false}, Then("write the Secret", secret_));
  }

  // The end of a request that changes `seen`. The answer is what the watch will bring.
  Callback<Json> Then(const char* what, Seen& seen) {
    return [weak = weak_from_this(), what, &seen](Result<Json> answer) {
      EnterStep(weak, [&](Impl& self) { self.OnDone(what, seen, std::move(answer)); });
    };
  }

  void OnDone(const char* what, Seen& seen, Result<Json> answer) {
    if (!answer) {
      log::Warning("webhook certificate: request failed",
                   {{"step", what}, {"error", answer.error()}});
      Rest();
      return;
    }
    log::Info("webhook certificate", {{"done", what}, {"version", VersionOf(*answer)}});
    {
      const std::lock_guard lock(mutex_);
      const std::string version = VersionOf(*answer);
      Take(seen, *std::move(answer), version);
      busy_ = false;
    }
    Look();
  }

  // Until something changes or some time has passed.
  void Rest() {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    if (timer_) {
      timers_.Cancel(*timer_);
    }
    const seconds delay = std::exchange(dirty_, false) ? seconds(0) : options_.look_again;
    timer_ = timers_.After(
        delay, [weak = weak_from_this()] { EnterStep(weak, [](Impl& self) { self.Look(); }); });
  }

  kube::Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const CertificateKeeperOptions options_;
  Gate gate_;
  std::atomic<bool> usable_ = false;
  std::optional<CertificateSet> serving_;  // used while busy_

  std::mutex mutex_;  // guards all below
  Seen secret_;
  Seen configuration_;
  bool leading_ = false;
  bool busy_ = false;
  bool dirty_ = false;  // something changed while busy_
  std::optional<TimerService::Id> timer_;
  std::unique_ptr<kube::ListWatch> secret_watch_;
  std::unique_ptr<kube::ListWatch> configuration_watch_;
};

CertificateKeeper::CertificateKeeper(kube::Client& client,
                                     const Clock& clock,
                                     TimerService& timers,
                                     CertificateKeeperOptions options)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(options))) {}

CertificateKeeper::~CertificateKeeper() {
  impl_->Stop();
}

void CertificateKeeper::Start() {
  impl_->Start();
}

void CertificateKeeper::Stop() {
  impl_->Stop();
}

void CertificateKeeper::SetLeading(bool leading) {
  impl_->SetLeading(leading);
}

bool CertificateKeeper::usable() const {
  return impl_->usable();
}

}  // namespace farlet::webhook
