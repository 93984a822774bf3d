#include "runtime/vm/confinement.h"

#include "runtime/base/descriptor_passing.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <iterator>
#include <set>

namespace farlet::vm {
namespace {

// Descriptors are moved above this first, so that none is overwritten by another's final number.
constexpr int kFirstMovedFd = 100;
constexpr size_t kMaxDescriptors = 32;

// The child's only, where Fail finds it.
int control_fd = -1;

// The folders from which programs and libraries come; links among them on a merged-/usr system.
constexpr std::array<const char*, 6> kSystemFolders = {"/usr", "/bin",   "/sbin",
                                                       "/lib", "/lib32", "/lib64"};

[[noreturn]] void Fail(const char* what) {
  ChildFailure failure{.error = errno};
  for (size_t i = 0; what[i] != '\0' && i + 1 < sizeof failure.what; ++i) {
    failure.what[i] = what[i];
  }
  ::send(control_fd, &failure, sizeof failure, MSG_NOSIGNAL);
  ::_exit(127);
}

void Check(bool good, const char* what) {
  if (!good) {
    Fail(what);
  }
}

void LimitResources() {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  const rlimit files{.rlim_cur = 1024, .rlim_max = 1024};
  Check(::setrlimit(RLIMIT_CORE, &none) == 0 && ::setrlimit(RLIMIT_NOFILE, &files) == 0,
        "set resource limits");
}

// A handler of ours must not run in the child, and QEMU expects to find nothing blocked.
void ResetSignals() {
  struct sigaction standard {};

  standard.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) {
    ::sigaction(number, &standard, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the child has one thread.
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

Result<ChildProgram> ChildProgram::Prepare(LaunchPlan plan) {
  if (plan.descriptors.size() > kMaxDescriptors) {
    return Internal("too many descriptors to pass");
  }
  ChildProgram program;
  program.plan_ = std::move(plan);
  for (const auto& path : program.plan_.cgroup_procs) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) {
      return ErrnoError(errno, "open " + path.string());
    }
    program.cgroups_.push_back(std::move(fd));
  }
  FARLET_TRY(program.PlanRoot());
  program.words_ = {program.plan_.program.string()};
  std::ranges::move(program.plan_.arguments, std::back_inserter(program.words_));
  for (std::string& word : program.words_) {
    program.argv_.push_back(word.data());
  }
  program.argv_.push_back(nullptr);
  return program;
}

Status ChildProgram::PlanRoot() {
  for (const std::filesystem::path folder : kSystemFolders) {
    std::error_code error;
    const auto status = std::filesystem::symlink_status(folder, error);
    if (std::filesystem::is_symlink(status)) {
      const auto target = std::filesystem::read_symlink(folder, error);
      if (error) {
        return ErrnoError(error.value(), "read link " + folder.string());
      }
      steps_.push_back({Step::Kind::kSymlink, folder.relative_path(), target});
    } else if (std::filesystem::is_directory(status)) {
      PlanBind(folder, folder);
    }
  }
  // The second is what QEMU reads when it is told not to reserve memory.
  for (const std::filesystem::path file : {"/etc/ld.so.cache", "/proc/sys/vm/overcommit_memory"}) {
    if (std::filesystem::exists(file)) {
      PlanBind(file, file);
    }
  }
  for (const auto& [source, target] : plan_.files) {
    if (!std::filesystem::is_regular_file(source)) {
      return MakeError(Code::kFailedPrecondition,
                       fmt::format("{}: not there or not a file", source.string()));
    }
    PlanBind(source, target);
  }
  const auto inside = std::ranges::any_of(kSystemFolders, [&](const char* folder) {
    return plan_.program.string().starts_with(std::string(folder) + "/");
  });
  if (!inside) {
    PlanBind(plan_.program, plan_.program);
  }
  return {};
}

void ChildProgram::PlanBind(const std::filesystem::path& source,
                            const std::filesystem::path& target) {
  const auto folder = Step::Kind::kFolder;
  std::filesystem::path parent;
  for (const auto& part : target.parent_path().relative_path()) {
    parent /= part;
    const bool planned = std::ranges::any_of(steps_, [&](const Step& step) {
      return step.kind == folder && step.target == parent.string();
    });
    if (!planned) {
      steps_.push_back({folder, parent, {}});
    }
  }
  const auto kind =
      std::filesystem::is_directory(source) ? Step::Kind::kFolder : Step::Kind::kEmptyFile;
  steps_.push_back({kind, target.relative_path(), {}});
  steps_.push_back({Step::Kind::kBind, target.relative_path(), source});
}

void ChildProgram::Run(int control, int parent) const {
  control_fd = ::fcntl(control, F_DUPFD_CLOEXEC, kFirstMovedFd);
  const int parent_fd = ::fcntl(parent, F_DUPFD_CLOEXEC, kFirstMovedFd);
  if (control_fd < 0 || parent_fd < 0) {
    ::_exit(126);
  }
  ResetSignals();
  EnterCgroups();
  EnterRoot();
  PlaceDescriptors();
  LimitResources();
  DropPrivileges();
  // After the change of user, which would clear it. The thread that made us never ends, so this is
  // the death of the whole process.
  Check(::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "set the parent-death signal");
  pollfd gone{.fd = parent_fd, .events = POLLIN, .revents = 0};
  if (::poll(&gone, 1, 0) != 0) {
    ::_exit(125);
  }
  const int listener = InstallOpenFilter(plan_.memory);
  if (listener < 0) {
    errno = -listener;
    Fail("install the seccomp filter");
  }
  Check(SendWithDescriptors(control_fd, "L", {&listener, 1}) == 1, "pass the seccomp listener");
  std::array<char*, 2> environment = {const_cast<char*>("PATH=/usr/bin"), nullptr};
  ::execve(argv_[0], argv_.data(), environment.data());
  Fail("execute QEMU");
}

void ChildProgram::EnterCgroups() const {
  for (const UniqueFd& cgroup : cgroups_) {
    Check(::write(cgroup.get(), "0", 1) == 1, "enter the pod's cgroup");
  }
}

void ChildProgram::EnterRoot() const {
  const char* root = plan_.root.c_str();
  Check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  Check(::mount("farlet", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=0755") == 0,
        "mount a root for QEMU");
  Check(::chdir(root) == 0, "enter QEMU's root");
  ::umask(0022);
  for (const Step& step : steps_) {
    DoStep(step);
  }
  // The old root lands on top of the new one, from where it is taken away.
  Check(::syscall(SYS_pivot_root, ".", ".") == 0, "change to QEMU's root");
  Check(::umount2(".", MNT_DETACH) == 0, "leave the host's file systems");
  Check(::chdir("/") == 0, "enter QEMU's root");
  Check(::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV,
                nullptr) == 0,
        "make QEMU's root read-only");
}

void ChildProgram::DoStep(const Step& step) const {
  const char* target = step.target.c_str();
  switch (step.kind) {
    case Step::Kind::kFolder:
      Check(::mkdir(target, 0755) == 0, target);
      return;
    case Step::Kind::kEmptyFile:
      Check(::mknod(target, S_IFREG | 0444, 0) == 0, target);
      return;
    case Step::Kind::kSymlink:
      Check(::symlink(step.source.c_str(), target) == 0, target);
      return;
    case Step::Kind::kBind:
      Check(::mount(step.source.c_str(), target, nullptr, MS_BIND, nullptr) == 0, target);
      Check(::mount(nullptr, target, nullptr,
                    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) == 0,
            target);
      return;
  }
}

void ChildProgram::PlaceDescriptors() const {
  std::array<int, kMaxDescriptors> moved{};
  for (size_t i = 0; i < plan_.descriptors.size(); ++i) {
    moved[i] = ::fcntl(plan_.descriptors[i].first, F_DUPFD, kFirstMovedFd);
    Check(moved[i] >= 0, "place a descriptor");
  }
  unsigned last = 2;
  for (size_t i = 0; i < plan_.descriptors.size(); ++i) {
    const int theirs = plan_.descriptors[i].second;
    Check(::dup2(moved[i], theirs) >= 0, "place a descriptor");
    last = std::max(last, static_cast<unsigned>(theirs));
  }
  // All others are gone with exec; until then the child needs some.
  Check(::syscall(SYS_close_range, last + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0, "close descriptors");
}

void ChildProgram::DropPrivileges() const {
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    // EINVAL: the running kernel knows fewer.
    Check(::prctl(PR_CAPBSET_DROP, capability) == 0 || errno == EINVAL, "drop capabilities");
  }
  // Not glibc's functions: they would wait for threads that this process does not have.
  const uid_t user = plan_.user;
  Check(::syscall(SYS_setgroups, 0, nullptr) == 0, "drop groups");
  Check(::syscall(SYS_setresgid, user, user, user) == 0, "change the group");
  Check(::syscall(SYS_setresuid, user, user, user) == 0, "change the user");
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> none{};
  Check(::syscall(SYS_capset, &header, none.data()) == 0, "drop capabilities");
  Check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "forbid new privileges");
}

}  // namespace farlet::vm
