#include "runtime/vm/disk/program.h"

#include "runtime/base/pipe.h"
#include "runtime/base/text.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace farlet::disk {
namespace {

constexpr std::string_view kFolders =
    "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
constexpr const char* kEnvironment =
    "PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
constexpr size_t kMaxOutput = 4096;
constexpr int kCannotStart = 126;

Result<std::string> Find(const std::filesystem::path& program) {
  if (program.has_parent_path()) {
    return program.string();
  }
  const char* path = ::secure_getenv("PATH");
  std::string folders = fmt::format("{}:{}", path == nullptr ? "" : path, kFolders);
  for (size_t begin = 0; begin < folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string candidate = folders.substr(begin, end - begin) + "/" + program.string();
    if (end > begin && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    begin = end + 1;
  }
  return MakeError(Code::kFailedPrecondition, program.string() + " is not installed");
}

// The first descriptor that the child opens after it has closed all others.
constexpr int kFirstLower = STDERR_FILENO + 1;

// Layers by their descriptors: short, and free of the characters that have a meaning in the option.
std::string OverlayOptions(size_t lowers) {
  std::string options;
  for (size_t i = 0; i < lowers; ++i) {
    options += fmt::format("{}/proc/self/fd/{}", i == 0 ? "lowerdir=" : ":",
                           kFirstLower + static_cast<int>(i));
  }
  return options;
}

// All that the child needs, made before the fork: between fork and exec a child of a process with
// threads may not allocate.
struct Prepared {
  std::string program;
  std::vector<char*> arguments;
  const OverlayView* view = nullptr;
  std::string overlay_options;
  int output = -1;
};

[[noreturn]] void Give(const char* step) {
  const char* why = ::strerrordesc_np(errno);
  for (const char* text : {step, ": ", why == nullptr ? "error" : why}) {
    (void)!::write(STDERR_FILENO, text, std::strlen(text));
  }
  ::_exit(kCannotStart);
}

void MountView(const Prepared& prepared) {
  if (::unshare(CLONE_NEWNS) != 0) {
    Give("make mount namespace");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    Give("make mounts private");
  }
  // Here and not before: an overlay takes only layers of its own mount namespace.
  int expected = kFirstLower;
  for (const std::filesystem::path& lower : prepared.view->lowers) {
    if (::open(lower.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC) != expected++) {
      Give("open layer");
    }
  }
  if (::mount("overlay", prepared.view->place.c_str(), "overlay", MS_RDONLY | MS_NODEV | MS_NOSUID,
              prepared.overlay_options.c_str()) != 0) {
    Give("mount overlay of the layers");
  }
}

[[noreturn]] void Child(const Prepared& prepared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  ::dup2(prepared.output, STDOUT_FILENO);
  ::dup2(prepared.output, STDERR_FILENO);
  if (::close_range(kFirstLower, ~0U, 0) != 0) {
    Give("close descriptors");
  }
  if (prepared.view != nullptr) {
    MountView(prepared);
  }
  std::array<char*, 3> environment{const_cast<char*>(kEnvironment), const_cast<char*>("LC_ALL=C"),
                                   nullptr};
  ::execve(prepared.program.c_str(), prepared.arguments.data(), environment.data());
  Give("execute");
}

// Until the child closes its end. False: not in time.
bool ReadOutput(int fd, std::chrono::seconds timeout, std::string& output) {
  using std::chrono::steady_clock;
  const auto deadline = steady_clock::now() + timeout;
  std::array<char, 1024> buffer{};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now()).count();
    pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = left <= 0 ? 0 : ::poll(&watched, 1, static_cast<int>(left));
    if (ready == 0) {
      return false;
    }
    const ssize_t count = ready < 0 ? -1 : ::read(fd, buffer.data(), buffer.size());
    if (count == 0 || (count < 0 && errno != EINTR)) {
      return true;
    }
    output.append(buffer.data(), count > 0 ? static_cast<size_t>(count) : 0);
    if (output.size() > kMaxOutput) {
      output.erase(0, output.size() - kMaxOutput);  // errors come last
    }
  }
}

Status Judge(const std::string& name, int status, bool in_time, const std::string& output) {
  if (!in_time) {
    return MakeError(Code::kDeadlineExceeded, name + ": it took too long");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return {};
  }
  const std::string how = WIFSIGNALED(status) ? fmt::format("killed by signal {}", WTERMSIG(status))
                                              : fmt::format("exit code {}", WEXITSTATUS(status));
  const bool full = output.find("No space left on device") != std::string::npos ||
                    output.find("Disk quota exceeded") != std::string::npos;
  return MakeError(full ? Code::kResourceExhausted : Code::kInternal,
                   fmt::format("{}: {}: {}", name, how, OneLine(output)));
}

}  // namespace

Status Run(const Program& program) {
  Prepared prepared;
  FARLET_ASSIGN(prepared.program, Find(program.path));
  std::vector<std::string> arguments = program.arguments;
  prepared.arguments.push_back(prepared.program.data());
  for (std::string& argument : arguments) {
    prepared.arguments.push_back(argument.data());
  }
  prepared.arguments.push_back(nullptr);
  if (program.view != nullptr) {
    prepared.view = program.view;
    prepared.overlay_options = OverlayOptions(program.view->lowers.size());
  }
  FARLET_ASSIGN(Pipe output, MakePipe());
  prepared.output = output.write.get();
  const pid_t child = ::fork();
  if (child < 0) {
    return ErrnoError(errno, "fork");
  }
  if (child == 0) {
    Child(prepared);
  }
  output.write.Close();
  std::string said;
  const bool in_time = ReadOutput(output.read.get(), program.timeout, said);
  if (!in_time) {
    ::kill(child, SIGKILL);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return ErrnoError(errno, "wait for " + program.path.string());
    }
  }
  return Judge(program.path.filename(), status, in_time, said);
}

}  // namespace farlet::disk
