#pragma once

#include "kube/auth/credentials.h"
#include "runtime/base/clock.h"

#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace farlet::kube {

// A value that is given, or lives in a file that may be replaced at any time.
struct MaterialSource {
  std::string field;  // for messages: "users[0].user.client-key"
  std::string value;
  std::filesystem::path file;  // empty: `value` counts

  bool given() const { return !value.empty() || !file.empty(); }
};

struct FileCredentialSources {
  MaterialSource token;
  MaterialSource certificate;
  MaterialSource key;
  MaterialSource ca;
};

// Credentials from values and files. Each file is looked at no more than once a second, and read
// when it was replaced or written, and once a minute in any case.
class FileCredentials final : public Credentials {
 public:
  // Reads everything once: kInvalidArgument when that fails or certificate and key do not match.
  static Result<std::shared_ptr<Credentials>> Make(FileCredentialSources sources,
                                                   const Clock& clock);

  void Get(Callback<CredentialPtr> done) override;
  void Invalidate(uint64_t generation) override;

 private:
  FileCredentials(FileCredentialSources sources, const Clock& clock)
      : sources_(std::move(sources)), clock_(clock) {}

  Result<CredentialPtr> Load() const;
  // Needs mutex_.
  void Refresh();
  // What stat() says of the files. Needs mutex_.
  std::string Fingerprint() const;

  const FileCredentialSources sources_;
  const Clock& clock_;
  std::mutex mutex_;  // guards all below
  CredentialPtr current_;
  std::string fingerprint_;
  SteadyTime looked_;
  SteadyTime read_;
};

}  // namespace farlet::kube
