#include "runtime/vm/files/session.h"

#include "runtime/vm/files/file_access.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace farlet::files {
namespace {

constexpr uint32_t kMinMinor = 33;
constexpr uint32_t kPageBytes = 4096;
// What the server relies on or offers. Not asked for: write-back (the host's changes would be
// overwritten), locks (the guest's kernel keeps them), POSIX ACLs.
constexpr uint32_t kFeatures = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                               FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                               FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
                               FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2;
constexpr uint16_t kMaxBackground = 64;

Status AddFixedNode(NodeTable& nodes, uint64_t id, UniqueFd fd, std::string_view what) {
  struct statx description {};

  if (const int error = Describe(fd.get(), description); error != 0) {
    return ErrnoError(error, what);
  }
  if (!S_ISDIR(description.stx_mode)) {
    return ErrnoError(ENOTDIR, what);
  }
  nodes.AddFixed(id, std::move(fd), description);
  return {};
}

}  // namespace

Session::Session(Roots roots, const FileServerOptions& options)
    : roots_(std::move(roots)),
      options_(options),
      nodes_(options.max_nodes, options.max_node_fds),
      handles_(options.max_handles, FirstIdOfSession()),
      reply_(kMaxReply - sizeof(fuse_out_header)),
      initialized_(options.initialized) {}

Result<std::unique_ptr<Session>> Session::Create(Roots roots, const FileServerOptions& options) {
  std::unique_ptr<Session> session(new Session(std::move(roots), options));
  UniqueFd shares;
  if (const int error = OpenEntry(session->roots_.tree.get(), "s", shares); error != 0) {
    return ErrnoError(error, "open folder s of the share tree");
  }
  FARLET_TRY(AddFixedNode(session->nodes_, NodeTable::kRoot,
                          std::exchange(session->roots_.tree, UniqueFd()),
                          "root of the share tree"));
  FARLET_TRY(AddFixedNode(session->nodes_, NodeTable::kShares, std::move(shares),
                          "folder s of the share tree"));
  return session;
}

Bytes Session::Handle(Bytes message) {
  Request request(message);
  reply_.Clear();
  switch (request.header().opcode) {
    case FUSE_FORGET:
      Forget(request);
      return {};
    case FUSE_BATCH_FORGET:
      BatchForget(request);
      return {};
    case FUSE_INTERRUPT:
      return {};  // requests are answered one after another, so there is none to interrupt
    default:
      return reply_.Finish(request.header().unique, Dispatch(request));
  }
}

int Session::Dispatch(Request& request) {
  if (request.header().opcode == FUSE_INIT) {
    return Init(request);
  }
  if (!initialized_) {
    return EIO;
  }
  if (request.header().opcode == FUSE_DESTROY) {
    destroyed_ = true;
    return 0;
  }
  return DispatchNames(request);
}

int Session::DispatchNames(Request& request) {
  switch (request.header().opcode) {
    case FUSE_LOOKUP:
      return LookUp(request);
    case FUSE_GETATTR:
      return GetAttributes(request);
    case FUSE_SETATTR:
      return SetAttributes(request);
    case FUSE_READLINK:
      return ReadLink(request);
    case FUSE_SYMLINK:
      return MakeSymlink(request);
    case FUSE_MKNOD:
      return MakeNode(request);
    case FUSE_MKDIR:
      return MakeFolder(request);
    case FUSE_UNLINK:
      return Remove(request, 0);
    case FUSE_RMDIR:
      return Remove(request, AT_REMOVEDIR);
    case FUSE_RENAME:
      return Rename(request);
    case FUSE_RENAME2:
      return Rename2(request);
    case FUSE_LINK:
      return Link(request);
    case FUSE_CREATE:
      return Create(request);
    default:
      return DispatchData(request);
  }
}

int Session::DispatchData(Request& request) {
  switch (request.header().opcode) {
    case FUSE_OPEN:
      return Open(request);
    case FUSE_READ:
      return Read(request);
    case FUSE_WRITE:
      return Write(request);
    case FUSE_FLUSH:
      return Flush(request);
    case FUSE_FSYNC:
      return Sync(request, false);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
      return Release(request);
    case FUSE_FALLOCATE:
      return Allocate(request);
    case FUSE_LSEEK:
      return Seek(request);
    case FUSE_COPY_FILE_RANGE:
      return CopyRange(request);
    default:
      return DispatchMore(request);
  }
}

int Session::DispatchMore(Request& request) {
  switch (request.header().opcode) {
    case FUSE_OPENDIR:
      return OpenFolder(request);
    case FUSE_READDIR:
      return ReadFolder(request, false);
    case FUSE_READDIRPLUS:
      return ReadFolder(request, true);
    case FUSE_FSYNCDIR:
      return Sync(request, true);
    case FUSE_STATFS:
      return StatFileSystem(request);
    case FUSE_SETXATTR:
      return SetXattr(request);
    case FUSE_GETXATTR:
      return GetXattr(request);
    case FUSE_LISTXATTR:
      return ListXattrs(request);
    case FUSE_REMOVEXATTR:
      return RemoveXattr(request);
    default:
      return ENOSYS;  // also ACCESS, locks, POLL, …: the guest's kernel does them by itself then
  }
}

int Session::Init(Request& request) {
  // The kernel's structure grew over time; what every supported one has are the first 16 bytes.
  struct {
    uint32_t major, minor, max_readahead, flags;
  } wanted{};

  if (const Bytes body = request.rest(); body.size() >= sizeof(wanted)) {
    std::memcpy(&wanted, body.data(), sizeof(wanted));
  }
  if (initialized_ || wanted.major < FUSE_KERNEL_VERSION) {
    return EPROTO;
  }
  fuse_init_out answer{};
  answer.major = FUSE_KERNEL_VERSION;
  answer.minor = FUSE_KERNEL_MINOR_VERSION;
  if (wanted.major > FUSE_KERNEL_VERSION) {
    reply_.Add(answer);  // it asks again with our version
    return 0;
  }
  if (wanted.minor < kMinMinor) {
    return EPROTO;
  }
  answer.minor = std::min<uint32_t>(wanted.minor, FUSE_KERNEL_MINOR_VERSION);
  answer.max_readahead = std::min(wanted.max_readahead, kMaxWrite);
  answer.flags = wanted.flags & kFeatures;
  answer.max_background = kMaxBackground;
  answer.congestion_threshold = kMaxBackground * 3 / 4;
  answer.max_write = kMaxWrite;
  answer.max_pages = kMaxWrite / kPageBytes;
  answer.time_gran = 1;
  reply_.Add(answer);
  initialized_ = true;
  return 0;
}

void Session::Forget(Request& request) {
  if (const auto forget = request.Take<fuse_forget_in>()) {
    nodes_.Forget(request.node(), forget->nlookup);
  }
}

void Session::BatchForget(Request& request) {
  const auto batch = request.Take<fuse_batch_forget_in>();
  for (uint32_t i = 0; batch && i < batch->count; ++i) {
    const auto forget = request.Take<fuse_forget_one>();
    if (!forget) {
      return;
    }
    nodes_.Forget(forget->nodeid, forget->nlookup);
  }
}

int Session::FindWritable(uint64_t id, Node*& node) {
  if (id == NodeTable::kRoot || id == NodeTable::kShares) {
    return EROFS;
  }
  return nodes_.Find(id, node);
}

int Session::FindDescribed(uint64_t id, Node*& node, struct statx& description) {
  const int error = nodes_.Find(id, node);
  return error != 0 ? error : Describe(node->fd.get(), description);
}

}  // namespace farlet::files
