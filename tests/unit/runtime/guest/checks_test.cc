#include "runtime/guest/checks.h"

#include "proto/guest/v1/guest.pb.h"

#include <gtest/gtest.h>

#include <string>

namespace farlet::guest {
namespace {

TEST(Checks, Ids) {
  EXPECT_TRUE(CheckId("id", "a"));
  EXPECT_TRUE(CheckId("id", "0aZ_.-9"));
  EXPECT_TRUE(CheckId("id", std::string(128, 'a')));
  for (const std::string& bad :
       {std::string(), std::string(129, 'a'), std::string("."), std::string(".."),
        std::string("-a"), std::string("a/b"), std::string("a b"), std::string("a\0", 2)}) {
    const Status checked = CheckId("the id", bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Code::kInvalidArgument);
    EXPECT_EQ(checked.error().message.rfind("the id: ", 0), 0u);
  }
}

TEST(Checks, Paths) {
  EXPECT_TRUE(CheckAbsolute("path", "/"));
  EXPECT_TRUE(CheckAbsolute("path", "/a/../b"));
  EXPECT_FALSE(CheckAbsolute("path", ""));
  EXPECT_FALSE(CheckAbsolute("path", "a"));
  EXPECT_FALSE(CheckAbsolute("path", "/" + std::string(4095, 'a')));
  EXPECT_TRUE(CheckAbsolute("path", "/" + std::string(4094, 'a')));
  EXPECT_TRUE(CheckRelative("path", "a"));
  EXPECT_TRUE(CheckRelative("path", "a/.b/..c"));
  for (const char* bad : {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b"}) {
    EXPECT_FALSE(CheckRelative("path", bad)) << bad;
  }
}

TEST(Checks, ProcessBounds) {
  v1::Process process;
  EXPECT_FALSE(CheckProcess(process)) << "no arguments";
  process.add_args("x");
  EXPECT_TRUE(CheckProcess(process));
  process.set_cwd("relative");
  EXPECT_FALSE(CheckProcess(process));
  process.set_cwd("/");
  process.set_oom_score_adj(1001);
  EXPECT_FALSE(CheckProcess(process));
  process.set_oom_score_adj(1000);
  process.mutable_console_size()->set_rows(65536);
  EXPECT_FALSE(CheckProcess(process));
  process.mutable_console_size()->set_rows(65535);
  for (int count = 0; count < 32769; ++count) {
    process.add_env("A=B");
  }
  const Status checked = CheckProcess(process);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, Code::kResourceExhausted);
}

TEST(Checks, RehearsalNamesNothingThatStays) {
  v1::PrepareRequest request;
  request.set_rehearsal(true);
  request.add_interfaces()->set_name("eth0");
  EXPECT_TRUE(CheckPrepare(request));
  request.set_hostname("web");
  EXPECT_FALSE(CheckPrepare(request));
  request.clear_hostname();
  (*request.mutable_sysctls())["net.core.somaxconn"] = "1";
  EXPECT_FALSE(CheckPrepare(request));
  request.clear_sysctls();
  request.add_empty_dirs()->set_name("cache");
  EXPECT_FALSE(CheckPrepare(request));
}

TEST(Checks, Prepare) {
  v1::PrepareRequest request;
  EXPECT_TRUE(CheckPrepare(request));
  request.set_machine_id("0123456789abcdef0123456789abcdef");
  EXPECT_TRUE(CheckPrepare(request));
  request.set_machine_id("0123");
  EXPECT_FALSE(CheckPrepare(request));
  request.clear_machine_id();
  request.set_hostname(std::string(65, 'a'));
  EXPECT_FALSE(CheckPrepare(request));
  request.clear_hostname();
  (*request.mutable_sysctls())["a/../../b"] = "";
  EXPECT_FALSE(CheckPrepare(request));
  request.clear_sysctls();
  request.set_seed(std::string(513, 'a'));
  EXPECT_FALSE(CheckPrepare(request));
}

}  // namespace
}  // namespace farlet::guest
