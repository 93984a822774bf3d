// The guest agent. As PID 1 it boots the VM and serves the shim; else it runs outside a VM:
//   farlet-guest --serve SOCKET --root FOLDER
#include "runtime/base/log.h"
#include "runtime/guest/boot.h"
#include "runtime/guest/serve.h"

#include <fcntl.h>
#include <sys/reboot.h>
#include <unistd.h>

#include <csignal>
#include <string_view>
#include <utility>

namespace farlet::guest {
namespace {

Status RunAsInit() {
  const Layout layout;
  FARLET_TRY(BootGuest(layout));
  pid_t relay = -1;
  // A guest without shares is of use as well.
  if (auto files = OpenPort("files")) {
    FARLET_ASSIGN(relay, MountShare(layout, *std::move(files)));
  } else {
    log::Warning("no file server", {{"error", files.error()}});
  }
  FARLET_ASSIGN(UniqueFd port, OpenPort("agent"));
  return ServePort(layout, std::move(port), relay);
}

int Main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  if (::getpid() == 1 && argc < 5) {
    const Status served = RunAsInit();
    log::Error("the agent cannot go on", {{"error", served ? "" : served.error().message}});
    ::reboot(RB_AUTOBOOT);
    return 1;
  }
  const std::string_view first = argc == 5 ? argv[1] : "";
  const std::string_view third = argc == 5 ? argv[3] : "";
  if (first != "--serve" || third != "--root") {
    constexpr std::string_view usage = "usage: farlet-guest --serve SOCKET --root FOLDER\n";
    (void)!::write(STDERR_FILENO, usage.data(), usage.size());
    return 2;
  }
  const Status served = RunOutsideVm(argv[2], argv[4]);
  if (!served) {
    log::Error("the agent failed", {{"error", served.error()}});
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace farlet::guest

int main(int argc, char** argv) {
  return farlet::guest::Main(argc, argv);
}
