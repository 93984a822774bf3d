#include "provider/webhook/webhook_server.h"

#include "provider/server/http_server.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string_view>
#include <utility>

namespace farlet::webhook {
namespace {

using server::ExchangePtr;

// What has been answered, by verdict; in the order of Verdict.
constexpr std::array<std::string_view, 4> kVerdicts{"untouched", "admitted", "refused",
                                                    "malformed"};

// Used by the handlers, which outlive no server.
class Service {
 public:
  Service(ReviewOptions options, WebhookServer::ProfileSource profiles)
      : options_(std::move(options)), profiles_(std::move(profiles)) {}

  void Handle(const ExchangePtr& exchange) {
    const server::Request& request = exchange->request();
    const bool get = request.method == "GET";
    if (request.path == "/mutate" && request.method == "POST") {
      Mutate(exchange);
    } else if (request.path == "/healthz" && get) {
      exchange->Reply({.body = "ok"});
    } else if (request.path == "/readyz" && get) {
      exchange->Reply(profiles_() == nullptr ? NotReady() : server::Response{.body = "ok"});
    } else if (request.path == "/metrics" && get) {
      exchange->Reply({.body = Metrics()});
    } else {
      exchange->Reply({.status = 404, .body = "404: Page Not Found"});
    }
  }

 private:
  static server::Response NotReady() {
    return {.status = 503, .body = "the Fargate profiles have not been read yet"};
  }

  void Mutate(const ExchangePtr& exchange) {
    const auto start = std::chrono::steady_clock::now();
    const auto profiles = profiles_();
    if (profiles == nullptr) {
      exchange->Reply(NotReady());
      return;
    }
    ReviewAnswer answer = Review(exchange->request().body, *profiles, options_);
    ++counts_[static_cast<size_t>(answer.verdict)];
    nanoseconds_ += (std::chrono::steady_clock::now() - start).count();
    Log(answer);
    exchange->Reply(
        {.status = answer.status,
         .body = std::move(answer.body),
         .content_type = std::string(answer.status == 200 ? server::kJson : server::kTextPlain)});
  }

  static void Log(const ReviewAnswer& answer) {
    switch (answer.verdict) {
      case Verdict::kUntouched:
        break;
      case Verdict::kAdmitted:
        log::Debug("pod admitted", {{"pod", answer.pod}, {"profile", answer.profile}});
        break;
      case Verdict::kRefused:
        log::Info("pod refused",
                  {{"pod", answer.pod}, {"profile", answer.profile}, {"message", answer.message}});
        break;
      case Verdict::kMalformed:
        log::Warning("malformed review", {{"problem", answer.message}});
        break;
    }
  }

  std::string Metrics() const {
    std::string text =
        "# HELP farlet_webhook_reviews_total Admission reviews answered, by verdict.\n"
        "# TYPE farlet_webhook_reviews_total counter\n";
    for (size_t i = 0; i < kVerdicts.size(); ++i) {
      text += fmt::format("farlet_webhook_reviews_total{{verdict=\"{}\"}} {}\n", kVerdicts[i],
                          counts_[i].load());
    }
    text +=
        "# HELP farlet_webhook_review_seconds_total Time spent on admission reviews.\n"
        "# TYPE farlet_webhook_review_seconds_total counter\n";
    text += fmt::format("farlet_webhook_review_seconds_total {:.6f}\n",
                        static_cast<double>(nanoseconds_.load()) / 1e9);
    return text;
  }

  const ReviewOptions options_;
  const WebhookServer::ProfileSource profiles_;
  std::array<std::atomic<uint64_t>, kVerdicts.size()> counts_{};
  std::atomic<int64_t> nanoseconds_ = 0;
};

}  // namespace

class WebhookServer::Impl {
 public:
  Impl(WebhookServerOptions options, ProfileSource profiles)
      : options_(std::move(options)),
        service_(options_.review, std::move(profiles)),
        http_({.max_body_bytes = kMaxReview}) {}

  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem) {
    return http_.SetCertificate(certificate_pem, key_pem);
  }

  Status Listen() {
    FARLET_ASSIGN(port_, http_.Listen(options_.address, options_.port,
                                      [this](const ExchangePtr& exchange, const auto& /*peer*/) {
                                        service_.Handle(exchange);
                                      }));
    return {};
  }

  uint16_t port() const { return port_; }

 private:
  const WebhookServerOptions options_;
  Service service_;
  std::atomic<uint16_t> port_ = 0;
  server::HttpServer http_;  // last: its thread uses the rest
};

WebhookServer::WebhookServer(WebhookServerOptions options, ProfileSource profiles)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(profiles))) {}

WebhookServer::~WebhookServer() = default;

Status WebhookServer::SetCertificate(const std::string& certificate_pem,
                                     const std::string& key_pem) {
  return impl_->SetCertificate(certificate_pem, key_pem);
}

Status WebhookServer::Listen() {
  return impl_->Listen();
}

uint16_t WebhookServer::port() const {
  return impl_->port();
}

}  // namespace farlet::webhook
