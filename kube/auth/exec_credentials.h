#pragma once

#include "kube/auth/credentials.h"
#include "runtime/base/clock.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace farlet::kube {

// users[].user.exec of a kubeconfig: client.authentication.k8s.io/v1 or v1beta1.
struct CredentialPlugin {
  std::string field;  // for messages
  std::string api_version;
  std::string command;  // a name in PATH or an absolute path
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::string install_hint;
  std::string cluster_json;  // spec.cluster, when provideClusterInfo; else empty
  milliseconds timeout{60'000};
  size_t max_output = size_t{1} << 20;
};

// Credentials that a program prints. It runs on a thread of its own when there is no credential
// yet, the old one expires within ten seconds, or the server refused it; everybody who asks
// meanwhile gets the outcome of that run. A failure is remembered for a second.
class ExecCredentials final : public Credentials {
 public:
  // `ca` yields the CA certificate, without blocking.
  ExecCredentials(CredentialPlugin plugin, std::shared_ptr<Credentials> ca, const Clock& clock);
  // Kills a program that is running; whoever waits for it gets kCancelled.
  ~ExecCredentials() override;

  ExecCredentials(const ExecCredentials&) = delete;
  ExecCredentials& operator=(const ExecCredentials&) = delete;

  void Get(Callback<CredentialPtr> done) override;
  void Invalidate(uint64_t generation) override;

 private:
  struct State;

  const std::shared_ptr<State> state_;  // shared with the thread that runs the program
};

}  // namespace farlet::kube
