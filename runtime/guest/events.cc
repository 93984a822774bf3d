#include "runtime/guest/events.h"

#include "runtime/ttrpc/types.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

namespace farlet::guest {
namespace {

constexpr size_t kMaxWaiting = 256;

}  // namespace

Status FileWatch::Start() {
  const int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0) {
    return ErrnoError(errno, "create an inotify descriptor");
  }
  inotify_.assign(fd);
  Wait();
  return {};
}

Result<int> FileWatch::Add(const std::string& path, std::function<void()> changed) {
  const int watch = ::inotify_add_watch(inotify_.native_handle(), path.c_str(), IN_MODIFY);
  if (watch < 0) {
    return ErrnoError(errno, "watch " + path);
  }
  watches_[watch] = std::move(changed);
  return watch;
}

void FileWatch::Remove(int watch) {
  if (watches_.erase(watch) != 0) {
    ::inotify_rm_watch(inotify_.native_handle(), watch);
  }
}

void FileWatch::Wait() {
  inotify_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (!error) {
                          Read();
                          Wait();
                        }
                      });
}

void FileWatch::Read() {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  std::set<int> changed;
  ssize_t count = 0;
  while ((count = ::read(inotify_.native_handle(), buffer.data(), buffer.size())) > 0) {
    size_t offset = 0;
    while (offset + sizeof(inotify_event) <= static_cast<size_t>(count)) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + offset, sizeof event);
      offset += sizeof event + event.len;
      if ((event.mask & IN_MODIFY) != 0) {
        changed.insert(event.wd);
      }
    }
  }
  for (const int watch : changed) {
    // One may have removed another.
    if (const auto found = watches_.find(watch); found != watches_.end()) {
      const auto call = found->second;
      call();
    }
  }
}

void OomQueue::Push(std::string container_id) {
  if (waiting_.size() == kMaxWaiting) {
    waiting_.pop_front();
  }
  waiting_.push_back(std::move(container_id));
  Deliver();
}

void OomQueue::Take(const ttrpc::Cancellation& cancellation, Taker taker) {
  if (auto earlier = std::exchange(taker_, std::move(taker))) {
    earlier(Cancelled("wait for events: another call took over"));
  }
  ++turn_;
  cancellation.OnCancel([this, turn = turn_] {
    if (turn == turn_) {
      taker_ = nullptr;
    }
  });
  Deliver();
}

void OomQueue::Deliver() {
  if (!waiting_.empty() && taker_) {
    auto taker = std::exchange(taker_, nullptr);
    taker(std::vector<std::string>(waiting_.begin(), waiting_.end()));
    waiting_.clear();
  }
}

}  // namespace farlet::guest
