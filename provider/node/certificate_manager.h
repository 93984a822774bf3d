#pragma once

#include "kube/auth/certificate.h"
#include "kube/client/client.h"
#include "runtime/base/timer.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farlet::node {

struct KeyPair {
  std::string certificate_pem;  // leaf first
  std::string key_pem;
};

struct CertificateManagerOptions {
  std::string signer;
  std::vector<std::string> usages;
  // Certificates and key in one file, mode 0600, replaced atomically.
  std::filesystem::path path;
  // What the certificate has to say now.
  std::function<kube::CertificateSubject()> subject;
  // Who to ask with, given whether there is a valid certificate; null: nobody now, later perhaps.
  std::function<kube::Client*(bool usable)> client;
  // A pair came into use: found on disk at Start(), or issued (and stored by then).
  std::function<void(const KeyPair& pair)> on_change;
};

// Keeps one certificate of the node issued, stored and fresh, by the CSR API.
//
//                   valid                70 to 90 % of its life over, Check() finds it wrong
//   Start: reading ───────► holding ─────────────────────────────────────────┐
//             │ missing, malformed, expired, of another subject              ▼
//             └────────────────────────────────────────────────────────► requesting
//                              holding ◄── stored ◄── issued ────────────────┤  ▲
//                                                     failed, denied: waiting ──┘
//                                                     2 s … 2 min, said
//
// The certificate that is held stays in use while another one is asked for. Thread safe; hooks run
// on the threads of client and timers (on_change at Start() on the caller's) and must not block.
class CertificateManager {
 public:
  // `timers` outlives it.
  CertificateManager(const Clock& clock, TimerService& timers, CertificateManagerOptions options);
  ~CertificateManager();  // Stop()

  CertificateManager(const CertificateManager&) = delete;
  CertificateManager& operator=(const CertificateManager&) = delete;

  // Reads the stored certificate (one small file), then works on its own.
  void Start();
  // No hook runs and no client is used afterwards. Not from a hook.
  void Stop();
  // The subject or the client may have changed.
  void Check();

  // There is a certificate that is valid now.
  bool usable() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Whether a certificate with `info` does for `subject` at `now`: valid, same name and groups, and
// exactly those names and addresses.
bool Fits(const kube::CertificateInfo& info, const kube::CertificateSubject& subject, WallTime now);

}  // namespace farlet::node
