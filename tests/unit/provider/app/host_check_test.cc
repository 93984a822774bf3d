#include "provider/app/host_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

namespace farlet::app {
namespace {

using ::testing::HasSubstr;

Finding Find(const std::vector<Finding>& findings, const std::string& what) {
  const auto found = std::find_if(findings.begin(), findings.end(),
                                  [&](const Finding& each) { return each.what == what; });
  return found == findings.end() ? Finding{} : *found;
}

// Of a host that has none of the files.
vm::HostConfig EmptyConfig() {
  const auto nowhere = std::filesystem::path(::testing::TempDir()) / "nowhere";
  vm::HostConfig config;
  config.qemu = nowhere / "qemu";
  config.kernel = nowhere / "vmlinux";
  config.initramfs = nowhere / "initramfs";
  config.run_dir = nowhere / "run";
  config.cache_dir = nowhere / "cache";
  config.template_dir = nowhere / "templates";
  return config;
}

TEST(HostCheckTest, NamesEachThingThatIsMissingAndWhatToDo) {
  const auto findings = CheckHost(EmptyConfig(), "unix:///nowhere/containerd.sock");
  EXPECT_FALSE(CanRunPods(findings));
  const Finding qemu = Find(findings, "qemu");
  EXPECT_EQ(qemu.verdict, Finding::Verdict::kMissing);
  EXPECT_THAT(qemu.found, HasSubstr("nowhere/qemu: No such file or directory"));
  const Finding guest = Find(findings, "guest");
  EXPECT_EQ(guest.verdict, Finding::Verdict::kMissing);
  EXPECT_THAT(guest.found, HasSubstr("deploy/vm/build makes it"));
  EXPECT_EQ(Find(findings, "acceleration").verdict, Finding::Verdict::kMissing);
  const Finding runtime = Find(findings, "containerd");
  EXPECT_EQ(runtime.verdict, Finding::Verdict::kMissing);
  EXPECT_FALSE(runtime.found.empty());
  EXPECT_THAT(Find(findings, "images").found, HasSubstr("GiB free under"));
  EXPECT_THAT(Find(CheckHost(EmptyConfig(), ""), "containerd").what, "");
}

TEST(HostCheckTest, AFolderThatIsNotThereYetIsWhereItsParentIs) {
  const auto findings = CheckHost(EmptyConfig(), "");
  EXPECT_NE(Find(findings, "templates").verdict, Finding::Verdict::kMissing);
}

TEST(HostCheckTest, PoorIsGoodEnough) {
  std::vector<Finding> findings = {
      {.what = "qemu", .found = "/usr/bin/qemu"},
      {.what = "acceleration", .verdict = Finding::Verdict::kPoor, .found = "tcg: no vmx"}};
  EXPECT_TRUE(CanRunPods(findings));
  EXPECT_EQ(FormatFindings(findings),
            "ok       qemu          /usr/bin/qemu\n"
            "poor     acceleration  tcg: no vmx\n");
  findings.push_back({.what = "guest", .verdict = Finding::Verdict::kMissing, .found = "gone"});
  EXPECT_FALSE(CanRunPods(findings));
}

}  // namespace
}  // namespace farlet::app
