#pragma once

#include "provider/server/server.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/provider/server/test_client.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::server::testing {

// A server on free ports of loopback whose clients may do everything: they have a certificate of
// user "admin", group "system:masters". Tests change what they need before Start().
class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    options_.address = "127.0.0.1";
    options_.port = 0;
    options_.healthz_port = 0;
    options_.client_ca_file = folder_.Write("ca.crt", ca_.certificate_pem());
    serving_ = ca_.Issue({.common_name = "node-1", .ip_addresses = {"127.0.0.1"}});
    admin_.certificate = ca_.Issue({.common_name = "admin", .organizations = {"system:masters"}});
    access_review_ = [](const User&, const std::string&, const std::string&, Callback<bool> done) {
      done(true);
    };
  }

  void Start() {
    server_ = std::make_unique<Server>(options_, handlers_, token_review_, access_review_, clock_);
    ASSERT_TRUE(server_->SetCertificate(serving_.certificate_pem, serving_.key_pem));
    const Status listening = server_->Listen();
    ASSERT_TRUE(listening) << listening.error().message;
    ASSERT_TRUE(server_->ListenHealthz());
  }

  std::unique_ptr<TestClient> Connect() { return Connect(admin_); }

  std::unique_ptr<TestClient> Connect(const ClientOptions& options) {
    return std::make_unique<TestClient>(server_->port(), options);
  }

  HttpAnswer Fetch(std::string_view target, std::string_view headers = {}) {
    return Connect()->Fetch(target, headers);
  }

  TempFolder folder_;
  farlet::testing::FakeCa ca_;
  farlet::testing::FakeClock clock_;
  farlet::testing::FakeCertificate serving_;
  ClientOptions admin_;
  ServerOptions options_;
  Handlers handlers_;
  TokenReview token_review_;
  SubjectAccessReview access_review_;
  std::unique_ptr<Server> server_;
};

}  // namespace farlet::server::testing
