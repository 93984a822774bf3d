#include "provider/server/gzip_file.h"

#include "runtime/base/fd.h"
#include "runtime/base/undo.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

namespace farlet::server {
namespace {

constexpr size_t kBlockSize = 64 * 1024;
constexpr int kGzipWindow = 15 + 16;  // zlib: the largest window, with gzip's frame
constexpr int kMemoryLevel = 8;

struct EndDeflate {
  void operator()(z_stream* stream) const {
    deflateEnd(stream);
    delete stream;
  }
};

Status WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(fd, bytes.data(), bytes.size());
    if (size < 0 && errno != EINTR) {
      return ErrnoError(errno, "write");
    }
    bytes.remove_prefix(size < 0 ? 0 : static_cast<size_t>(size));
  }
  return {};
}

// Deflates what `stream` has been given; `flush` as zlib knows it.
Status Deflate(z_stream& stream, int flush, int out, std::vector<char>& buffer) {
  do {
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    if (deflate(&stream, flush) == Z_STREAM_ERROR) {
      return Internal("deflate failed");
    }
    FARLET_TRY(WriteAll(out, {buffer.data(), buffer.size() - stream.avail_out}));
  } while (stream.avail_out == 0);
  return {};
}

Status Compress(int in, int out, const std::function<bool()>& stop) {
  const std::unique_ptr<z_stream, EndDeflate> stream(new z_stream());
  if (deflateInit2(stream.get(), Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return MakeError(Code::kResourceExhausted, "no memory for deflate");
  }
  std::vector<char> input(kBlockSize);
  std::vector<char> output(kBlockSize);
  while (true) {
    if (stop()) {
      return Cancelled("stopped");
    }
    const ssize_t size = ::read(in, input.data(), input.size());
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return ErrnoError(errno, "read");
    }
    stream->next_in = reinterpret_cast<Bytef*>(input.data());
    stream->avail_in = static_cast<uInt>(size);
    FARLET_TRY(Deflate(*stream, size == 0 ? Z_FINISH : Z_NO_FLUSH, out, output));
    if (size == 0) {
      return {};
    }
  }
}

}  // namespace

Status GzipFile(const std::string& path, const std::function<bool()>& stop) {
  const std::string what = "compress " + path;
  const UniqueFd in(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));

  struct stat info {};

  if (!in.valid() || ::fstat(in.get(), &info) != 0) {
    return ErrnoError(errno, what);
  }
  const std::string temporary = path + ".tmp";
  UniqueFd out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                      info.st_mode & 0777));
  if (!out.valid()) {
    return ErrnoError(errno, what);
  }
  Undo remove([&] { ::unlink(temporary.c_str()); });
  FARLET_TRY(Annotate(Compress(in.get(), out.get(), stop), what));
  if (::fsync(out.get()) != 0) {
    return ErrnoError(errno, what);
  }
  out.Close();
  if (::rename(temporary.c_str(), (path + ".gz").c_str()) != 0) {
    return ErrnoError(errno, what);
  }
  remove.Dismiss();
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, what);
  }
  return {};
}

}  // namespace farlet::server
