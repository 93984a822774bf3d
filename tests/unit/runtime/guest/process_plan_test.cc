#include "runtime/guest/process_plan.h"

#include "proto/guest/v1/guest.pb.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace farlet::guest {
namespace {

namespace fs = std::filesystem;

class FindExecutableTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "path-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    fs::create_directory(folder_ / "a");
    fs::create_directories(folder_ / "b/folder");
    Make("b/tool", 0755);
    Make("a/data", 0644);
    Make("b/data", 0755);
  }

  void TearDown() override { fs::remove_all(folder_); }

  void Make(const std::string& name, unsigned mode) const {
    std::ofstream(folder_ / name) << "x";
    fs::permissions(folder_ / name, static_cast<fs::perms>(mode));
  }

  std::string Path() const { return (folder_ / "a").string() + ":" + (folder_ / "b").string(); }

  fs::path folder_;
};

TEST_F(FindExecutableTest, FirstThatCanBeExecuted) {
  auto found = FindExecutable("tool", Path());
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (folder_ / "b/tool").string());
  found = FindExecutable("data", Path());
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, (folder_ / "b/data").string());
}

TEST_F(FindExecutableTest, WordsOfRunc) {
  const auto message = [&](const std::string& name) {
    const auto found = FindExecutable(name, Path());
    EXPECT_FALSE(found) << name;
    return found ? "" : found.error().message;
  };
  const std::string prefix = "unable to start container process: exec: ";
  EXPECT_EQ(message("none"), prefix + "\"none\": executable file not found in $PATH");
  EXPECT_EQ(message(""), prefix + "\"\": executable file not found in $PATH");
  EXPECT_EQ(message("folder"), prefix + "\"folder\": executable file not found in $PATH");
  const std::string missing = (folder_ / "none").string();
  EXPECT_EQ(message(missing),
            prefix + "\"" + missing + "\": stat " + missing + ": no such file or directory");
  const std::string data = (folder_ / "a/data").string();
  EXPECT_EQ(message(data), prefix + "\"" + data + "\": permission denied");
  const std::string folder = (folder_ / "a").string();
  EXPECT_EQ(message(folder), prefix + "\"" + folder + "\": is a directory");
}

TEST(ProcessPlan, HomeFolders) {
  const std::string passwd =
      "# comment\nroot:x:0:0:root:/root:/bin/sh\nbad:x:y:0::/bad:\nuser:x:1000:1000::/home/user\n"
      "empty:x:7:7:::\n";
  EXPECT_EQ(HomeFolder(passwd, 0), "/root");
  EXPECT_EQ(HomeFolder(passwd, 1000), "/home/user");
  EXPECT_EQ(HomeFolder(passwd, 7), "/");
  EXPECT_EQ(HomeFolder(passwd, 5), "/");
  EXPECT_EQ(HomeFolder("", 0), "/");
}

TEST(ProcessPlan, EnvironmentsLastWord) {
  const std::vector<std::string> env = {"A=1", "AB=2", "A=3", "EMPTY="};
  EXPECT_EQ(FindEnv(env, "A"), "3");
  EXPECT_EQ(FindEnv(env, "EMPTY"), "");
  EXPECT_EQ(FindEnv(env, "B"), std::nullopt);
}

TEST(ProcessPlan, Defaults) {
  v1::Process process;
  process.add_args("x");
  process.set_terminal(true);
  const auto plan = MakeProcessPlan(process, nullptr);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->cwd, "/");
  EXPECT_EQ(plan->umask, 022u);
  EXPECT_EQ(FindEnv(plan->env, "TERM"), "xterm");
}

}  // namespace
}  // namespace farlet::guest
