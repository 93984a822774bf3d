#include "runtime/shim/stdio/sink.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace farlet::shim {
namespace {

namespace asio = boost::asio;

class NullSink final : public Sink {
 public:
  explicit NullSink(asio::io_context& io) : io_(io) {}

  void Write(std::string /*data*/, StatusCallback done) override {
    asio::post(io_, [done = std::move(done)] { done({}); });
  }

  void Close() override {}

 private:
  asio::io_context& io_;
};

class PipeSink final : public Sink, public std::enable_shared_from_this<PipeSink> {
 public:
  PipeSink(asio::io_context& io, UniqueFd reader, UniqueFd writer)
      : reader_(std::move(reader)), writer_(io, writer.Release()) {}

  void Write(std::string data, StatusCallback done) override {
    if (!writer_.is_open()) {
      asio::post(writer_.get_executor(), [done = std::move(done)] {
        done(Cancelled("write output: the stream is closed"));
      });
      return;
    }
    data_ = std::move(data);
    asio::async_write(writer_, asio::buffer(data_),
                      [self = shared_from_this(), done = std::move(done)](
                          const boost::system::error_code& error, size_t /*count*/) {
                        if (error) {
                          done(ErrnoError(error.value(), "write output"));
                          return;
                        }
                        done({});
                      });
  }

  void Close() override {
    boost::system::error_code ignored;
    writer_.close(ignored);
    reader_.Close();
  }

 private:
  UniqueFd reader_;  // of a FIFO: keeps it open, never read
  asio::posix::stream_descriptor writer_;
  std::string data_;
};

// Files do not poll; a local append is quick.
class FileSink final : public Sink {
 public:
  FileSink(asio::io_context& io, UniqueFd file) : io_(io), file_(std::move(file)) {}

  void Write(std::string data, StatusCallback done) override {
    Status status;
    for (size_t sent = 0; sent < data.size() && status;) {
      const ssize_t count = ::write(file_.get(), data.data() + sent, data.size() - sent);
      if (count >= 0) {
        sent += static_cast<size_t>(count);
      } else if (errno != EINTR) {
        status = ErrnoError(errno, "write output");
      }
    }
    asio::post(io_, [done = std::move(done), status = std::move(status)] { done(status); });
  }

  void Close() override { file_.Close(); }

 private:
  asio::io_context& io_;
  UniqueFd file_;
};

Result<std::shared_ptr<Sink>> OpenFifo(asio::io_context& io, const std::string& path) {
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!reader.valid()) {
    return ErrnoError(errno, "open " + path);
  }

  struct stat info {};

  if (::fstat(reader.get(), &info) != 0 || !S_ISFIFO(info.st_mode)) {
    return InvalidArgument("open " + path + ": not a FIFO");
  }
  UniqueFd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!writer.valid()) {
    return ErrnoError(errno, "open " + path);
  }
  return std::shared_ptr<Sink>(
      std::make_shared<PipeSink>(io, std::move(reader), std::move(writer)));
}

}  // namespace

Result<std::shared_ptr<Sink>> OpenSink(asio::io_context& io, const StreamTarget& target) {
  switch (target.kind) {
    case StreamTarget::Kind::kNone:
      break;
    case StreamTarget::Kind::kFifo:
      return OpenFifo(io, target.path.string());
    case StreamTarget::Kind::kLogger:
      return InvalidArgument("a logger takes both outputs and no input");
    case StreamTarget::Kind::kFile: {
      constexpr mode_t kLogMode = 0640;
      UniqueFd file(
          ::open(target.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kLogMode));
      if (!file.valid()) {
        return ErrnoError(errno, "open " + target.path.string());
      }
      return std::shared_ptr<Sink>(std::make_shared<FileSink>(io, std::move(file)));
    }
  }
  return std::shared_ptr<Sink>(std::make_shared<NullSink>(io));
}

Result<std::shared_ptr<Sink>> MakePipeSink(asio::io_context& io, UniqueFd writer) {
  if (::fcntl(writer.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoError(errno, "make a pipe non-blocking");
  }
  return std::shared_ptr<Sink>(std::make_shared<PipeSink>(io, UniqueFd(), std::move(writer)));
}

}  // namespace farlet::shim
