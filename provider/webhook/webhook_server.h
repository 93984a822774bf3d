#pragma once

#include "provider/webhook/review.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace farlet::webhook {

struct WebhookServerOptions {
  std::string address = "0.0.0.0";
  uint16_t port = 9443;  // 0: any free one
  ReviewOptions review;
};

// The webhook's HTTPS endpoint: POST /mutate, and GET /healthz, /readyz and /metrics. Whoever
// reaches it may ask: a review gives nothing away that the asker did not bring along. Methods are
// thread safe.
class WebhookServer {
 public:
  // The profiles to match now; null: not known yet, which /readyz and reviews answer with 503, so
  // that the API server's failurePolicy decides. Called on the server's I/O thread.
  using ProfileSource = std::function<std::shared_ptr<const fargate::ProfileSet>()>;

  WebhookServer(WebhookServerOptions options, ProfileSource profiles);
  // Closes every connection and waits for the I/O thread.
  ~WebhookServer();

  WebhookServer(const WebhookServer&) = delete;
  WebhookServer& operator=(const WebhookServer&) = delete;

  // As of server::HttpServer: new connections use the new pair.
  Status SetCertificate(const std::string& certificate_pem, const std::string& key_pem);
  // After the first certificate. kUnavailable while the port is taken.
  Status Listen();

  uint16_t port() const;  // 0 before

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace farlet::webhook
