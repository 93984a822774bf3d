#include "runtime/vm/net/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/vfs.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace farlet::net {

Result<UniqueFd> OpenNetns(const std::filesystem::path& path) {
  const std::string what = "open network namespace " + path.string();
  UniqueFd netns(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns.valid()) {
    return ErrnoError(errno, what);
  }

  struct statfs info {};

  if (::fstatfs(netns.get(), &info) != 0) {
    return ErrnoError(errno, what);
  }
  if (info.f_type != NSFS_MAGIC) {
    return InvalidArgument(what + ": not a namespace");
  }
  return netns;
}

Status RunInNetns(int netns, const std::function<Status()>& step) {
  Status result;
  try {
    std::thread([&] {
      if (::setns(netns, CLONE_NEWNET) != 0) {
        result = ErrnoError(errno, "enter network namespace");
        return;
      }
      result = step();
    }).join();
  } catch (const std::system_error& error) {
    return MakeError(Code::kResourceExhausted,
                     std::string("start thread for network namespace: ") + error.what());
  }
  return result;
}

}  // namespace farlet::net
