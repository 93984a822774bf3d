#include "kube/auth/file_credentials.h"

#include "kube/auth/certificate.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"

#include <fmt/format.h>

#include <sys/stat.h>

#include <utility>

namespace farlet::kube {
namespace {

constexpr seconds kLookInterval{1};
constexpr seconds kReadInterval{60};
constexpr size_t kMaxFile = size_t{1} << 20;

Result<std::string> ReadMaterial(const MaterialSource& source) {
  if (source.file.empty()) {
    return source.value;
  }
  Result<std::string> content = ReadFile(source.file, kMaxFile);
  if (!content) {
    Error error = Wrap(source.field, std::move(content).error());
    error.code = Code::kInvalidArgument;
    return error;
  }
  if (content->find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidArgument(source.field + ": " + source.file.string() + " is empty");
  }
  return content;
}

std::string Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  const size_t end = text.find_last_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string()
                                         : std::string(text.substr(begin, end - begin + 1));
}

bool SameTls(const Credential& a, const Credential& b) {
  return a.certificate_pem == b.certificate_pem && a.key_pem == b.key_pem && a.ca_pem == b.ca_pem;
}

}  // namespace

Result<std::shared_ptr<Credentials>> FileCredentials::Make(FileCredentialSources sources,
                                                           const Clock& clock) {
  std::shared_ptr<FileCredentials> made(new FileCredentials(std::move(sources), clock));
  made->fingerprint_ = made->Fingerprint();
  FARLET_ASSIGN(made->current_, made->Load());
  made->looked_ = made->read_ = clock.Now();
  return std::shared_ptr<Credentials>(std::move(made));
}

void FileCredentials::Get(Callback<CredentialPtr> done) {
  CredentialPtr current;
  {
    const std::lock_guard lock(mutex_);
    if (clock_.Now() - looked_ >= kLookInterval) {
      Refresh();
    }
    current = current_;
  }
  done(std::move(current));
}

void FileCredentials::Invalidate(uint64_t generation) {
  const std::lock_guard lock(mutex_);
  if (current_->generation == generation) {
    fingerprint_.clear();
    Refresh();
  }
}

void FileCredentials::Refresh() {
  const SteadyTime now = clock_.Now();
  looked_ = now;
  std::string fingerprint = Fingerprint();
  if (fingerprint == fingerprint_ && now - read_ < kReadInterval) {
    return;
  }
  Result<CredentialPtr> loaded = Load();
  if (!loaded) {
    // A certificate and its key may be replaced one after the other: the next look will do.
    log::Warning("credentials cannot be re-read; keeping the old", {{"error", loaded.error()}});
    return;
  }
  fingerprint_ = std::move(fingerprint);
  read_ = now;
  const Credential& next = **loaded;
  const bool same_tls = SameTls(next, *current_);
  if (same_tls && next.bearer_token == current_->bearer_token) {
    return;
  }
  auto changed = std::make_shared<Credential>(next);
  changed->generation = current_->generation + 1;
  changed->tls_generation = current_->tls_generation + (same_tls ? 0 : 1);
  current_ = std::move(changed);
}

Result<CredentialPtr> FileCredentials::Load() const {
  auto loaded = std::make_shared<Credential>();
  loaded->generation = loaded->tls_generation = 1;
  FARLET_ASSIGN(const std::string token, ReadMaterial(sources_.token));
  loaded->bearer_token = Trim(token);
  FARLET_ASSIGN(loaded->certificate_pem, ReadMaterial(sources_.certificate));
  FARLET_ASSIGN(loaded->key_pem, ReadMaterial(sources_.key));
  FARLET_ASSIGN(loaded->ca_pem, ReadMaterial(sources_.ca));
  if (!loaded->ca_pem.empty()) {
    FARLET_TRY(Annotate(ParseCertificate(loaded->ca_pem), sources_.ca.field));
  }
  if (!loaded->certificate_pem.empty()) {
    FARLET_TRY(Annotate(CheckKeyMatches(loaded->certificate_pem, loaded->key_pem),
                        sources_.certificate.field));
  }
  return CredentialPtr(std::move(loaded));
}

std::string FileCredentials::Fingerprint() const {
  std::string text;
  for (const MaterialSource* source :
       {&sources_.token, &sources_.certificate, &sources_.key, &sources_.ca}) {
    struct stat facts {};

    if (!source->file.empty() && ::stat(source->file.c_str(), &facts) == 0) {
      text += fmt::format("{}:{}:{}.{};", facts.st_ino, facts.st_size, facts.st_mtim.tv_sec,
                          facts.st_mtim.tv_nsec);
    } else {
      text += ';';
    }
  }
  return text;
}

}  // namespace farlet::kube
