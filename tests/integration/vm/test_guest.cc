// PID 1 of a VM in tests of the machine itself: a static program that loads the modules, opens the
// two ports and answers lines on the agent's, one command each. Its answers end with a newline.
//
//   hello                 "ready"
//   read DEVICE           the first 16 bytes of /dev/DEVICE (not through the cache)
//   serial DEVICE         its serial number
//   write DEVICE TEXT     writes TEXT to the device's start, and to the disk
//   sectors DEVICE        its size
//   sleep                 "slept" after 20 ms: timers work
//   fill MIB              takes, writes and frees memory
//   digest                of this program as it is in memory: "<number>"
//   entropy               16 random bytes, hexadecimal
//   chatter KIB           writes to the console
//   panic, off            ends the machine
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  std::string result = text.str();
  while (!result.empty() && result.back() == '\n') {
    result.pop_back();
  }
  return result;
}

void LoadModules() {
  std::ifstream list("/lib/modules/farlet/list");
  for (std::string name; std::getline(list, name);) {
    const int fd = open(("/lib/modules/farlet/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (syscall(SYS_finit_module, fd, "", 0) != 0) {
      printf("test guest: module %s: %s\n", name.c_str(), strerror(errno));
    }
    close(fd);
  }
}

std::string FindPort(const std::string& wanted) {
  std::string found;
  DIR* folder = opendir("/sys/class/virtio-ports");
  while (const dirent* entry = folder != nullptr ? readdir(folder) : nullptr) {
    const std::string name = entry->d_name;
    if (ReadText("/sys/class/virtio-ports/" + name + "/name") == wanted) {
      found = name;
    }
  }
  if (folder != nullptr) {
    closedir(folder);
  }
  return found;
}

// Ports come some time after the module.
int OpenPort(const std::string& wanted) {
  std::string name;
  while ((name = FindPort(wanted)).empty()) {
    usleep(1000);
  }
  return open(("/dev/" + name).c_str(), O_RDWR | O_CLOEXEC);
}

// A read of 0 bytes only says that the host's end is closed for now.
char ReadByte(int port) {
  char byte = 0;
  while (read(port, &byte, 1) != 1) {
    usleep(1000);
  }
  return byte;
}

std::string ReadLine(int port) {
  std::string line;
  for (char byte = ReadByte(port); byte != '\n'; byte = ReadByte(port)) {
    line += byte;
  }
  return line;
}

std::string ReadDevice(const std::string& device) {
  const int fd = open(("/dev/" + device).c_str(), O_RDONLY | O_CLOEXEC);
  ioctl(fd, BLKFLSBUF, 0);
  char bytes[17] = {};
  const bool good = read(fd, bytes, 16) == 16;
  close(fd);
  return good ? bytes : "error";
}

std::string WriteDevice(const std::string& device, const std::string& text) {
  const int fd = open(("/dev/" + device).c_str(), O_RDWR | O_CLOEXEC);
  ioctl(fd, BLKFLSBUF, 0);
  const bool good =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  return good ? "written" : "error";
}

std::string Fill(size_t mib) {
  void* memory =
      mmap(nullptr, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return "error";
  }
  memset(memory, 0x5a, mib << 20);
  munmap(memory, mib << 20);
  return "filled";
}

// What lies in the page cache since before the machine was saved.
std::string Digest() {
  const int fd = open("/init", O_RDONLY | O_CLOEXEC);
  uint64_t digest = 14695981039346656037u;
  char buffer[4096];
  for (ssize_t count = read(fd, buffer, sizeof buffer); count > 0;
       count = read(fd, buffer, sizeof buffer)) {
    for (ssize_t i = 0; i < count; ++i) {
      digest = (digest ^ static_cast<uint8_t>(buffer[i])) * 1099511628211u;
    }
  }
  close(fd);
  return std::to_string(digest);
}

std::string Entropy() {
  uint8_t bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) {
    return "error";
  }
  std::string hex;
  for (const uint8_t byte : bytes) {
    char digits[3];
    snprintf(digits, sizeof digits, "%02x", byte);
    hex += digits;
  }
  return hex;
}

std::string Chatter(size_t kib) {
  const std::string line(1023, 'x');
  for (size_t i = 0; i < kib; ++i) {
    puts(line.c_str());
  }
  puts("end of chatter");
  return "said";
}

void Panic() {
  const int fd = open("/proc/sysrq-trigger", O_WRONLY);
  (void)!write(fd, "c", 1);
}

std::string Answer(const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string first;
  std::string rest;
  words >> command >> first;
  std::getline(words >> std::ws, rest);
  if (command == "hello") {
    return "ready";
  }
  if (command == "read") {
    return ReadDevice(first);
  }
  if (command == "serial" || command == "sectors") {
    return ReadText("/sys/block/" + first + (command == "serial" ? "/serial" : "/size"));
  }
  if (command == "write") {
    return WriteDevice(first, rest);
  }
  if (command == "sleep") {
    usleep(20000);
    return "slept";
  }
  if (command == "fill") {
    return Fill(std::stoul(first));
  }
  if (command == "digest") {
    return Digest();
  }
  if (command == "entropy") {
    return Entropy();
  }
  if (command == "chatter") {
    return Chatter(std::stoul(first));
  }
  if (command == "panic") {
    Panic();
  }
  if (command == "off") {
    reboot(RB_POWER_OFF);
  }
  return "unknown command";
}

}  // namespace

int main() {
  mount("proc", "/proc", "proc", 0, nullptr);
  mount("sysfs", "/sys", "sysfs", 0, nullptr);
  mount("devtmpfs", "/dev", "devtmpfs", 0, nullptr);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  LoadModules();
  // As the real one mounts its share: it speaks first, and the host's answer is part of booting.
  const int files = OpenPort("files");
  (void)!write(files, "INIT", 4);
  const int agent = OpenPort("agent");
  for (int i = 0; i < 4; ++i) {
    ReadByte(files);
  }
  while (true) {
    const std::string answer = Answer(ReadLine(agent)) + "\n";
    (void)!write(agent, answer.data(), answer.size());
  }
}
