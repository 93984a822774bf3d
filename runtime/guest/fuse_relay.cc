#include "runtime/guest/fuse_relay.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

namespace farlet::guest {
namespace {

// Data and headers of one message.
constexpr size_t kMaxMessage = (128u << 10) + 4096;
// fuse_out_header: length, error, unique.
constexpr size_t kHeader = 16;

constexpr std::chrono::milliseconds kShortestRest{1};
constexpr std::chrono::milliseconds kLongestRest{50};

// Only the parts in use are backed by memory.
alignas(8) std::array<char, kMaxMessage> to_port;
alignas(8) std::array<char, kMaxMessage> to_fuse;

class Relay {
 public:
  Relay(int fuse, int port) : fuse_(fuse), port_(port) {}

  Status Run() {
    while (!ended_) {
      std::array<pollfd, 2> waits{};
      // One request is under way to the port at a time; answers never wait for requests.
      waits[0] = {.fd = out_size_ == 0 ? fuse_ : -1, .events = POLLIN};
      waits[1] = {.fd = port_, .events = POLLIN};
      if (out_size_ != 0) {
        waits[1].events |= POLLOUT;
      }
      if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) {
        return ErrnoError(errno, "wait for the file server");
      }
      if (waits[0].revents != 0) {
        FARLET_TRY(ReadRequest());
      }
      if ((waits[1].revents & POLLIN) != 0) {
        FARLET_TRY(ReadAnswers());
      }
      if (out_size_ != 0) {
        FARLET_TRY(WriteRequest());
      }
      Rest((waits[1].revents & POLLHUP) != 0);
    }
    return {};
  }

 private:
  // While nobody has the port open, poll says so without waiting.
  void Rest(bool nobody_there) {
    if (!nobody_there) {
      rest_ = kShortestRest;
      return;
    }
    std::this_thread::sleep_for(rest_);
    rest_ = std::min(rest_ * 2, kLongestRest);
  }

  Status ReadRequest() {
    const ssize_t count = ::read(fuse_, to_port.data(), to_port.size());
    if (count > 0) {
      out_size_ = static_cast<size_t>(count);
      out_done_ = 0;
      return {};
    }
    // ENOENT: the request was interrupted before it could be read.
    if (count < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT)) {
      return {};
    }
    if (count < 0 && errno == ENODEV) {
      ended_ = true;
      return {};
    }
    return ErrnoError(count < 0 ? errno : EIO, "read a request of the share");
  }

  Status WriteRequest() {
    const ssize_t count = ::write(port_, to_port.data() + out_done_, out_size_ - out_done_);
    if (count < 0) {
      return errno == EAGAIN || errno == EINTR || errno == EPIPE
                 ? Status()
                 : Status(ErrnoError(errno, "write to the file server"));
    }
    out_done_ += static_cast<size_t>(count);
    if (out_done_ == out_size_) {
      out_size_ = 0;
    }
    return {};
  }

  Status ReadAnswers() {
    const ssize_t count = ::read(port_, to_fuse.data() + in_size_, Wanted() - in_size_);
    if (count <= 0) {
      // 0: nobody has the port open.
      return count == 0 || errno == EAGAIN || errno == EINTR || errno == EPIPE
                 ? Status()
                 : Status(ErrnoError(errno, "read from the file server"));
    }
    in_size_ += static_cast<size_t>(count);
    if (in_size_ < kHeader) {
      return {};
    }
    const size_t wanted = Wanted();
    if (wanted < kHeader || wanted > to_fuse.size()) {
      return MakeError(Code::kDataLoss,
                       "an answer of the file server claims " + std::to_string(wanted) + " bytes");
    }
    if (in_size_ == wanted) {
      in_size_ = 0;
      // ENOENT: nobody waits for this answer any more. EINVAL: it makes no sense; the request
      // fails by itself when the connection ends.
      if (::write(fuse_, to_fuse.data(), wanted) < 0 && errno == ENODEV) {
        ended_ = true;
      }
    }
    return {};
  }

  // How many bytes make the answer under way, as far as is known.
  size_t Wanted() const {
    if (in_size_ < kHeader) {
      return kHeader;
    }
    uint32_t length = 0;
    std::memcpy(&length, to_fuse.data(), sizeof length);
    return length;
  }

  const int fuse_;
  const int port_;
  bool ended_ = false;
  size_t out_size_ = 0;
  size_t out_done_ = 0;
  size_t in_size_ = 0;
  std::chrono::milliseconds rest_ = kShortestRest;
};

}  // namespace

Status RelayFuse(int fuse, int port) {
  return Relay(fuse, port).Run();
}

}  // namespace farlet::guest
