// What runs in the rehearsal's container: a little of what every program does when it starts, so
// that the guest's kernel has done it once.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view kChild = "child";

// A shared library is mapped so.
void MapSelf() {
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  struct stat info {};

  if (file < 0 || ::fstat(file, &info) != 0) {
    return;
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* const map = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  if (map != MAP_FAILED) {
    auto* const bytes = static_cast<volatile char*>(map);
    for (size_t i = 0; i < size; i += 4096) {
      bytes[i] = bytes[i];
    }
    ::mprotect(map, size, PROT_READ);
    ::munmap(map, size);
  }
  ::close(file);
}

void Read(const char* path) {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  std::array<char, 4096> buffer{};
  while (file >= 0 && ::read(file, buffer.data(), buffer.size()) > 0) {
  }
  ::close(file);
}

void List(const char* path) {
  DIR* const folder = ::opendir(path);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  while (folder != nullptr && ::readdir(folder) != nullptr) {
  }
  if (folder != nullptr) {
    ::closedir(folder);
  }
}

void Write(const char* path) {
  const int file = ::open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file >= 0 && ::write(file, path, std::strlen(path)) > 0) {
    ::unlink(path);
  }
  ::close(file);
}

// Nobody is there.
void Dial() {
  const int dialled = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(1);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)::connect(dialled, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::close(dialled);
}

// As a shell starts a command, and as an entry point becomes its server.
void RunChild(char* self) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::array<char, kChild.size() + 1> word{};
    kChild.copy(word.data(), kChild.size());
    const std::array<char*, 3> arguments = {self, word.data(), nullptr};
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(EXIT_FAILURE);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
}

}  // namespace

int main(int count, char** words) {
  if (count > 1 && words[1] == kChild) {
    return EXIT_SUCCESS;
  }
  winsize window{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
  ::signal(SIGINT, SIG_DFL);
  const std::vector<char> heap(1u << 20, 'x');
  MapSelf();
  for (const char* file :
       {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/var/run/token/token"}) {
    Read(file);
  }
  List("/");
  List("/proc/self/fd");
  Write("/written");
  Write("/dev/shm/written");
  Write("/dev/termination-log-of-mine");
  Dial();
  RunChild(words[0]);
  ::usleep(1000);
  std::fprintf(stderr, "%c", heap.back());
  return std::puts("rehearsed") < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
