#include "proto/containerd/bootstrap/v1/bootstrap.pb.h"
#include "proto/containerd/runtimeoptions/v1/options.pb.h"
#include "runtime/base/sha256.h"
#include "runtime/shim/cli.h"
#include "runtime/shim/socket.h"
#include "runtime/shim/start_input.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace farlet::shim {
namespace {

Result<CommandLine> Parse(const std::vector<std::string_view>& arguments) {
  return ParseCommandLine(arguments);
}

TEST(CommandLineTest, ReadsWhatContainerdWrites) {
  const auto line = Parse({"-namespace", "k8s.io", "-address", "/run/containerd/containerd.sock",
                           "-publish-binary", "/usr/bin/containerd", "-id", "abc", "start"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->action, Action::kStart);
  EXPECT_EQ(line->containerd_namespace, "k8s.io");
  EXPECT_EQ(line->address, "/run/containerd/containerd.sock");
  EXPECT_EQ(line->publish_binary, "/usr/bin/containerd");
  EXPECT_EQ(line->id, "abc");
  EXPECT_FALSE(line->debug);
}

TEST(CommandLineTest, ReadsFlagsAsGoDoes) {
  const auto line =
      Parse({"--namespace=n", "-debug", "-id=a.b-c_d", "-bundle", "/b", "-debug=true", "delete"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->action, Action::kDelete);
  EXPECT_EQ(line->bundle, "/b");
  EXPECT_TRUE(line->debug);
  EXPECT_EQ(Parse({"-v"})->action, Action::kVersion);
  EXPECT_EQ(Parse({"-info"})->action, Action::kInfo);
  EXPECT_EQ(Parse({"fileserver"})->action, Action::kFileServer);
  const auto build = Parse({"-memory-mib", "512", "-vcpus=2", "-background", "template"});
  ASSERT_TRUE(build);
  EXPECT_EQ(build->action, Action::kTemplate);
  EXPECT_EQ(build->memory_mib, "512");
  EXPECT_EQ(build->vcpus, "2");
  EXPECT_TRUE(build->background);
  EXPECT_EQ(Parse({"-address", "/c.sock", "-background", "pool"})->action, Action::kPool);
  EXPECT_EQ(Parse({"-address", "/c.sock", "spare"})->action, Action::kSpare);
}

TEST(CommandLineTest, RefusesTheRest) {
  EXPECT_EQ(Parse({"-id", "a", "-namespace", "n"}).error().message,
            "no action given: start or delete");
  EXPECT_EQ(Parse({"-id"}).error().message, "flag -id needs a value");
  EXPECT_EQ(Parse({"-x", "start"}).error().message, "unknown flag -x");
  EXPECT_EQ(Parse({"-id", "a", "-namespace", "n", "stop"}).error().message, "unknown action stop");
  EXPECT_FALSE(Parse({"-id", "../a", "-namespace", "n", "start"}));
  EXPECT_FALSE(Parse({"-id", "a", "-namespace", "", "start"}));
  EXPECT_FALSE(Parse({"-debug=perhaps", "-v"}));
}

TEST(IdentifierTest, IsContainerds) {
  for (const char* good : {"a", "0", "a-b", "a.b_c", "k8s.io"}) {
    EXPECT_TRUE(IsIdentifier(good)) << good;
  }
  for (const char* bad : {"", ".", "a..b", "-a", "a-", "a/b", "a b", "ä"}) {
    EXPECT_FALSE(IsIdentifier(bad)) << bad;
  }
  EXPECT_TRUE(IsIdentifier(std::string(76, 'a')));
  EXPECT_FALSE(IsIdentifier(std::string(77, 'a')));
}

TEST(SocketTest, HasAPathOfItsOwnForEachPod) {
  const auto path = SocketPath(kSocketFolder, "/run/containerd/containerd.sock", "k8s.io", "pod");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->string(),
            "/run/containerd/s/" + Sha256Hex("/run/containerd/containerd.sock/k8s.io/pod"));
  EXPECT_LE(path->string().size(), 106U);
  EXPECT_NE(*path, *SocketPath(kSocketFolder, "/run/containerd/containerd.sock", "k8s.io", "pod2"));
  EXPECT_FALSE(SocketPath("/" + std::string(42, 'x'), "/a", "n", "pod"));
  EXPECT_TRUE(SocketPath("/" + std::string(40, 'x'), "/a", "n", "pod"));
}

TEST(SocketTest, ReplacesOneThatNobodyAnswers) {
  std::string folder = (std::filesystem::temp_directory_path() / "socket-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::filesystem::path path = std::filesystem::path(folder) / "s" / "socket";
  {
    const auto first = ListenUnix(path);
    ASSERT_TRUE(first);

    struct stat info {};

    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0600U);
    EXPECT_TRUE(ConnectUnix(path));
    EXPECT_EQ(ListenUnix(path).error().code, Code::kAlreadyExists);
  }
  EXPECT_FALSE(ConnectUnix(path));
  EXPECT_TRUE(ListenUnix(path));
  std::filesystem::remove_all(folder);
}

TEST(StartInputTest, ReadsOptionsAndBootstrapParameters) {
  EXPECT_TRUE(ParseStartInput("", "id"));
  runtimeoptions::v1::Options options;
  options.set_config_path("/etc/vm.yaml");
  wkt::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value(options.SerializeAsString());
  EXPECT_EQ(ParseStartInput(any.SerializeAsString(), "id")->config_path, "/etc/vm.yaml");

  containerd::runtime::bootstrap::v1::BootstrapParams params;
  params.set_instance_id("id");
  params.set_socket_dir("/run/s");
  *params.add_extensions()->mutable_value() = any;
  const auto input = ParseStartInput(params.SerializeAsString(), "id");
  ASSERT_TRUE(input);
  EXPECT_EQ(input->socket_folder, "/run/s");
  EXPECT_EQ(input->config_path, "/etc/vm.yaml");

  any.set_type_url("containerd.runc.v1.Options");
  EXPECT_EQ(ParseStartInput(any.SerializeAsString(), "id")->config_path, "");
  EXPECT_FALSE(ParseStartInput("\xff\xff", "id"));
}

TEST(StartAnswerTest, IsWhatTheCallerReads) {
  EXPECT_EQ(StartAnswer("unix:///s", ""), "unix:///s");
  EXPECT_EQ(StartAnswer("unix:///s", "1"), "unix:///s");
  EXPECT_EQ(StartAnswer("unix:///s", "2"),
            R"({"address":"unix:///s","protocol":"ttrpc","version":2})");
}

}  // namespace
}  // namespace farlet::shim
