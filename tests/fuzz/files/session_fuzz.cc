// Whatever requests a guest sends in whatever order, the file server answers each with one
// well-formed message, and touches nothing outside its tree.
//
// The input is a list of requests: opcode, a choice of node, the length of the body, the body. An
// odd choice puts a file handle that the server gave out at the body's beginning, where most
// requests have theirs.

#include "runtime/base/file.h"
#include "runtime/vm/files/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/runtime/vm/files/fuse_client.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::files {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxErrno = 511;
constexpr uint32_t kOpcodes = 56;
constexpr size_t kMaxIds = 16;

// For all runs of the process.
struct BaseFolder {
  BaseFolder() {
    // No run fills the disk.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 1u << 20, .rlim_max = 1u << 20};
    FUZZ_CHECK(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    std::string folder = (fs::temp_directory_path() / "farlet-fuzz-XXXXXX").string();
    FUZZ_CHECK(::mkdtemp(folder.data()) != nullptr);
    path = folder;
    FUZZ_CHECK(WriteFileAtomic(path / "secret", "outside", 0600));
  }

  ~BaseFolder() { fs::remove_all(path); }

  BaseFolder(const BaseFolder&) = delete;
  BaseFolder& operator=(const BaseFolder&) = delete;

  fs::path path;
};

class Fuzzed {
 public:
  Fuzzed() : base_(Base()) {
    fs::remove_all(base_ / "tree");
    fs::create_directories(base_ / "tree" / "s" / "1" / "folder");
    const fs::path share = base_ / "tree" / "s" / "1";
    FUZZ_CHECK(WriteFileAtomic(share / "file", "hello", 0600));
    fs::create_symlink("../../../secret", share / "link");
    Session::Roots roots;
    roots.tree = UniqueFd(::open((base_ / "tree").c_str(), O_PATH | O_CLOEXEC));
    roots.proc_fds = UniqueFd(::open("/proc/self/fd", O_PATH | O_CLOEXEC));
    auto session = Session::Create(std::move(roots),
                                   {.initialized = true, .max_nodes = 64, .max_handles = 16});
    FUZZ_CHECK(session);
    session_ = std::move(*session);
  }

  void Run(std::string_view input) {
    while (input.size() >= 3) {
      const auto opcode = static_cast<unsigned char>(input[0]) % kOpcodes;
      const auto choice = static_cast<unsigned char>(input[1]);
      std::string body(input.substr(3, static_cast<unsigned char>(input[2])));
      input.remove_prefix(3 + body.size());
      if ((choice & 1U) != 0 && body.size() >= sizeof(uint64_t)) {
        const uint64_t handle = handles_[(choice >> 4U) % handles_.size()];
        std::memcpy(body.data(), &handle, sizeof(handle));
      }
      Ask(opcode, nodes_[(choice >> 1U) % nodes_.size()], body);
    }
    FUZZ_CHECK(session_->nodes() <= 64 && session_->handles() <= 16);
    const auto secret = ReadFile(base_ / "secret");
    FUZZ_CHECK(secret && *secret == "outside");
    FUZZ_CHECK(std::distance(fs::directory_iterator(base_), {}) == 2);
    FUZZ_CHECK(std::distance(fs::directory_iterator(base_ / "tree"), {}) == 1);
    FUZZ_CHECK(std::distance(fs::directory_iterator(base_ / "tree" / "s"), {}) == 1);
  }

 private:
  static const fs::path& Base() {
    static const BaseFolder base;
    return base.path;
  }

  static void Keep(std::vector<uint64_t>& ids, uint64_t id) {
    if (id != 0) {
      ids.push_back(id);
      if (ids.size() > kMaxIds) {
        ids.erase(ids.begin() + 3);
      }
    }
  }

  void Ask(uint32_t opcode, uint64_t node, const std::string& body) {
    const std::string message = Message(opcode, node, body, ::geteuid(), ::getegid());
    const Bytes reply = session_->Handle(std::as_bytes(std::span(message)));
    if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT) {
      FUZZ_CHECK(reply.empty());
      return;
    }
    FUZZ_CHECK(reply.size() >= sizeof(fuse_out_header) && reply.size() <= kMaxReply);
    fuse_out_header header{};
    std::memcpy(&header, reply.data(), sizeof(header));
    FUZZ_CHECK(header.len == reply.size());
    FUZZ_CHECK(header.error <= 0 && -header.error <= static_cast<int>(kMaxErrno));
    FUZZ_CHECK(header.error == 0 || header.len == sizeof(header));
    fuse_entry_out entry{};
    fuse_open_out open{};
    const Bytes answer = reply.subspan(sizeof(header));
    if (header.error != 0) {
      return;
    }
    if ((opcode == FUSE_LOOKUP || opcode == FUSE_CREATE || opcode == FUSE_MKDIR) &&
        answer.size() >= sizeof(entry)) {
      std::memcpy(&entry, answer.data(), sizeof(entry));
      Keep(nodes_, entry.nodeid);
    }
    const size_t offset = opcode == FUSE_CREATE ? sizeof(entry) : 0;
    if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR || opcode == FUSE_CREATE) &&
        answer.size() >= offset + sizeof(open)) {
      std::memcpy(&open, answer.data() + offset, sizeof(open));
      Keep(handles_, open.fh);
    }
  }

  fs::path base_;
  std::unique_ptr<Session> session_;
  std::vector<uint64_t> nodes_{NodeTable::kRoot, NodeTable::kShares, 4711};
  std::vector<uint64_t> handles_{0, 1, 4711};
};

}  // namespace
}  // namespace farlet::files

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  farlet::files::Fuzzed().Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
