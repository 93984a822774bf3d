#include "kube/auth/file_credentials.h"

#include "tests/fakes/apiserver/fake_http_server_ca.h"
#include "tests/fakes/clock/fake_clock.h"
#include "tests/unit/temp_folder.h"

#include <gtest/gtest.h>

namespace farlet::kube {
namespace {

using farlet::testing::FakeCa;
using farlet::testing::FakeClock;

CredentialPtr Current(Credentials& credentials) {
  CredentialPtr current;
  credentials.Get([&](Result<CredentialPtr> result) { current = *result; });
  return current;
}

class FileCredentialsTest : public ::testing::Test {
 protected:
  std::shared_ptr<Credentials> Make(FileCredentialSources sources) {
    auto made = FileCredentials::Make(std::move(sources), clock_);
    EXPECT_TRUE(made) << made.error().message;
    return *made;
  }

  FakeClock clock_;
  TempFolder folder_;
  FakeCa ca_;
};

TEST_F(FileCredentialsTest, TokenIsReadAgainWhenItsFileChanges) {
  const auto file = folder_.Write("token", " one\n");
  const auto credentials = Make({.token = {.field = "token", .value = {}, .file = file}});
  const auto first = Current(*credentials);
  EXPECT_EQ(first->bearer_token, "one");
  folder_.Write("token", "two");
  EXPECT_EQ(Current(*credentials)->bearer_token, "one");  // looked at a moment ago
  clock_.Advance(seconds(1));
  const auto second = Current(*credentials);
  EXPECT_EQ(second->bearer_token, "two");
  EXPECT_GT(second->generation, first->generation);
  EXPECT_EQ(second->tls_generation, first->tls_generation);
}

TEST_F(FileCredentialsTest, ProjectedVolumesAreFollowed) {
  // As the kubelet does it: ..data is a link that moves to a new folder.
  std::filesystem::create_directories(folder_.path() / "1");
  std::filesystem::create_directories(folder_.path() / "2");
  folder_.Write("1/token", "one");
  folder_.Write("2/token", "two");
  std::filesystem::create_directory_symlink("1", folder_.path() / "..data");
  std::filesystem::create_symlink("..data/token", folder_.path() / "token");
  const auto credentials =
      Make({.token = {.field = "token", .value = {}, .file = folder_.path() / "token"}});
  std::filesystem::create_directory_symlink("2", folder_.path() / "new");
  std::filesystem::rename(folder_.path() / "new", folder_.path() / "..data");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->bearer_token, "two");
}

TEST_F(FileCredentialsTest, LastGoodTokenStaysWhileTheFileIsAway) {
  const auto file = folder_.Write("token", "one");
  const auto credentials = Make({.token = {.field = "token", .value = {}, .file = file}});
  std::filesystem::remove(file);
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->bearer_token, "one");
  folder_.Write("token", "\n");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->bearer_token, "one");
  folder_.Write("token", "two");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->bearer_token, "two");
}

TEST_F(FileCredentialsTest, InvalidateReadsAtOnce) {
  const auto file = folder_.Write("token", "one");
  const auto credentials = Make({.token = {.field = "token", .value = {}, .file = file}});
  folder_.Write("token", "two");
  credentials->Invalidate(Current(*credentials)->generation + 7);
  EXPECT_EQ(Current(*credentials)->bearer_token, "one");
  credentials->Invalidate(Current(*credentials)->generation);
  EXPECT_EQ(Current(*credentials)->bearer_token, "two");
}

TEST_F(FileCredentialsTest, RotatedClientCertificate) {
  const auto first = ca_.Issue({.common_name = "a"});
  const auto second = ca_.Issue({.common_name = "a"});
  const auto file = folder_.Write("client.pem", first.certificate_pem + first.key_pem);
  const auto credentials =
      Make({.certificate = {.field = "client-certificate", .value = {}, .file = file},
            .key = {.field = "client-key", .value = {}, .file = file}});
  const auto before = Current(*credentials);
  folder_.Write("client.pem", second.certificate_pem + second.key_pem);
  clock_.Advance(seconds(1));
  const auto after = Current(*credentials);
  EXPECT_EQ(after->certificate_pem, second.certificate_pem + second.key_pem);
  EXPECT_GT(after->tls_generation, before->tls_generation);
}

TEST_F(FileCredentialsTest, HalfRotatedPairIsNotUsed) {
  const auto first = ca_.Issue({.common_name = "a"});
  const auto second = ca_.Issue({.common_name = "a"});
  const auto certificate = folder_.Write("a.crt", first.certificate_pem);
  const auto key = folder_.Write("a.key", first.key_pem);
  const auto credentials =
      Make({.certificate = {.field = "client-certificate", .value = {}, .file = certificate},
            .key = {.field = "client-key", .value = {}, .file = key}});
  folder_.Write("a.crt", second.certificate_pem);
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->certificate_pem, first.certificate_pem);
  folder_.Write("a.key", second.key_pem);
  clock_.Advance(seconds(1));
  EXPECT_EQ(Current(*credentials)->certificate_pem, second.certificate_pem);
  EXPECT_EQ(Current(*credentials)->key_pem, second.key_pem);
}

TEST_F(FileCredentialsTest, WhatIsWrongAtTheStart) {
  const auto made = [&](FileCredentialSources sources) {
    return FileCredentials::Make(std::move(sources), clock_).error().message;
  };
  const auto missing = folder_.path() / "missing";
  EXPECT_EQ(made({.token = {.field = "the token", .value = {}, .file = missing}}).substr(0, 11),
            "the token: ");
  const auto empty = folder_.Write("empty", "");
  EXPECT_EQ(made({.token = {.field = "the token", .value = {}, .file = empty}}),
            "the token: " + empty.string() + " is empty");
  EXPECT_EQ(made({.ca = {.field = "the CA", .value = "x", .file = {}}}),
            "the CA: certificate: not a PEM certificate");
  const auto one = ca_.Issue({});
  const auto other = ca_.Issue({});
  EXPECT_EQ(made({.certificate = {.field = "cert", .value = one.certificate_pem, .file = {}},
                  .key = {.field = "key", .value = other.key_pem, .file = {}}}),
            "cert: private key: does not belong to the certificate");
}

}  // namespace
}  // namespace farlet::kube
