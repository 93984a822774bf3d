#pragma once

#include "runtime/base/fd.h"
#include "runtime/vm/net/namespace.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>

namespace farlet::net {

// A network namespace of the test's own; gone with the object and what runs in it.
class TestNetns {
 public:
  TestNetns() {
    std::thread([this] {
      if (::unshare(CLONE_NEWNET) == 0) {
        fd_ = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
      }
    }).join();
  }

  bool valid() const { return fd_.valid(); }

  int fd() const { return fd_.get(); }

  std::string path() const { return fmt::format("/proc/{}/fd/{}", ::getpid(), fd_.get()); }

  void In(const std::function<void()>& step) const {
    const Status entered = RunInNetns(fd_.get(), [&]() -> Status {
      step();
      return {};
    });
    EXPECT_TRUE(entered) << entered.error().message;
  }

  // Output of a shell command inside; the command must succeed.
  std::string Shell(const std::string& command) const {
    std::string output;
    In([&] {
      FILE* pipe = ::popen((command + " 2>&1").c_str(), "re");
      ASSERT_NE(pipe, nullptr);
      std::array<char, 4096> buffer{};
      for (size_t count = 0; (count = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
        output.append(buffer.data(), count);
      }
      EXPECT_EQ(::pclose(pipe), 0) << command << ": " << output;
    });
    return output;
  }

 private:
  UniqueFd fd_;
};

}  // namespace farlet::net
