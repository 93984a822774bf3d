#include "runtime/shim/pool/rehearsal.h"

#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "runtime/shim/guest_call.h"
#include "runtime/shim/identity.h"
#include "runtime/shim/pool/rehearsal_program.h"
#include "runtime/shim/spec/container_spec.h"
#include "runtime/vm/vm.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace farlet::shim {
namespace {

using nlohmann::json;
using std::filesystem::path;

constexpr const char* kContainer = "rehearsal";
constexpr const char* kProgram = "/performer";
constexpr size_t kKeyDigits = 16;

path RootOf(const path& folder) {
  return folder / "root";
}

path FilesOf(const path& folder) {
  return folder / "files";
}

// The kubelet's layout, by which the translation knows a volume.
path VolumeOf(const path& folder) {
  return folder / "volumes/kubernetes.io~projected/token";
}

// Addresses for documentation (RFC 5737, RFC 3849): the card is connected with nothing.
guest::v1::PrepareRequest Identity() {
  guest::v1::PrepareRequest request;
  request.set_rehearsal(true);
  request.set_writable_device(vm::kWritableDevice);
  auto& interface = *request.add_interfaces();
  interface.set_name("eth0");
  interface.set_mac("02:00:00:00:00:02");
  interface.set_mtu(1450);
  interface.add_addresses("192.0.2.2/24");
  interface.add_addresses("2001:db8::2/64");
  auto& subnet = *request.add_routes();
  subnet.set_destination("198.51.100.0/24");
  subnet.set_gateway("192.0.2.1");
  subnet.set_device("eth0");
  auto& all = *request.add_routes();
  all.set_gateway("192.0.2.1");
  all.set_device("eth0");
  request.set_memory_limit_bytes(uint64_t{256} << 20);
  request.set_cpu_quota_us(100000);
  request.set_cpu_period_us(100000);
  return request;
}

json Bind(const path& source, const char* destination, const char* access) {
  return {{"destination", destination},
          {"type", "bind"},
          {"source", source.string()},
          {"options", {"rbind", "rprivate", access}}};
}

// As containerd words the spec of a pod's container.
json Mounts(const path& folder) {
  const path files = FilesOf(folder);
  return {{{"destination", "/proc"},
           {"type", "proc"},
           {"source", "proc"},
           {"options", {"nosuid", "noexec", "nodev"}}},
          {{"destination", "/dev"},
           {"type", "tmpfs"},
           {"source", "tmpfs"},
           {"options", {"nosuid", "strictatime", "mode=755", "size=65536k"}}},
          {{"destination", "/dev/pts"},
           {"type", "devpts"},
           {"source", "devpts"},
           {"options", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}}},
          {{"destination", "/dev/mqueue"},
           {"type", "mqueue"},
           {"source", "mqueue"},
           {"options", {"nosuid", "noexec", "nodev"}}},
          {{"destination", "/sys"},
           {"type", "sysfs"},
           {"source", "sysfs"},
           {"options", {"nosuid", "noexec", "nodev", "ro"}}},
          {{"destination", "/sys/fs/cgroup"},
           {"type", "cgroup"},
           {"source", "cgroup"},
           {"options", {"nosuid", "noexec", "nodev", "relatime", "ro"}}},
          Bind(files / "hosts", "/etc/hosts", "rw"),
          Bind(files / "termination-log", "/dev/termination-log", "rw"),
          Bind(files / "hostname", "/etc/hostname", "ro"),
          Bind(files / "resolv.conf", "/etc/resolv.conf", "ro"),
          Bind(files / "shm", "/dev/shm", "rw"),
          Bind(VolumeOf(folder), "/var/run/token", "ro")};
}

json Spec(const path& folder) {
  const json capabilities = {"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE"};
  const json rules = {
      {{"allow", false}, {"access", "rwm"}},
      {{"allow", true}, {"type", "c"}, {"major", 1}, {"minor", 3}, {"access", "rwm"}},
      {{"allow", true}, {"type", "c"}, {"major", 136}, {"access", "rwm"}}};
  const json seccomp = {
      {"defaultAction", "SCMP_ACT_ALLOW"},
      {"architectures", {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}},
      {"syscalls", {{{"names", {"reboot", "kexec_load"}}, {"action", "SCMP_ACT_ERRNO"}}}}};
  return {
      {"process",
       {{"user", {{"uid", 0}, {"gid", 0}}},
        {"args", {kProgram}},
        {"env", {"PATH=/bin"}},
        {"cwd", "/"},
        {"capabilities",
         {{"bounding", capabilities}, {"effective", capabilities}, {"permitted", capabilities}}},
        {"rlimits", {{{"type", "RLIMIT_NOFILE"}, {"hard", 1024}, {"soft", 1024}}}},
        {"noNewPrivileges", true},
        {"oomScoreAdj", 967}}},
      {"root", {{"path", "rootfs"}}},
      {"mounts", Mounts(folder)},
      {"linux",
       {{"resources",
         {{"devices", rules},
          {"memory", {{"limit", 128 << 20}}},
          {"cpu", {{"shares", 256}, {"quota", 50000}, {"period", 100000}}},
          {"pids", {{"limit", 100}}}}},
        {"cgroupsPath", "/rehearsal"},
        {"namespaces", {{{"type", "pid"}}, {{"type", "mount"}}, {{"type", "cgroup"}}}},
        {"seccomp", seccomp},
        {"maskedPaths", {"/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware"}},
        {"readonlyPaths", {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"}}}}};
}

// The part of a pod's life that is played, from the guest's point of view.
class Play {
 public:
  Play(Machine& machine, int agent, const path& folder, SteadyTime deadline)
      : machine_(machine), agent_(agent), folder_(folder), deadline_(deadline) {}

  Status Perform() {
    guest::v1::PrepareRequest identity = Identity();
    FARLET_TRY(MakeUnique(identity, RealClock()));
    FARLET_TRY(Call<guest::v1::PrepareResponse>("Prepare", identity));
    FARLET_ASSIGN(guest::v1::CreateContainerRequest request, Container());
    FARLET_TRY(Call<guest::v1::CreateContainerResponse>("CreateContainer", request));
    guest::v1::StartContainerRequest start;
    start.set_id(kContainer);
    FARLET_TRY(Call<guest::v1::StartContainerResponse>("StartContainer", start));
    FARLET_TRY(Watch());
    guest::v1::DeleteContainerRequest remove;
    remove.set_id(kContainer);
    FARLET_TRY(Call<guest::v1::DeleteContainerResponse>("DeleteContainer", remove));
    FARLET_TRY(
        Call<guest::v1::EndRehearsalResponse>("EndRehearsal", guest::v1::EndRehearsalRequest()));
    for (const SharedPath& shared : shared_) {
      machine_.Unshare(shared);
    }
    return {};
  }

 private:
  template <class Response, class Request>
  Result<Response> Call(const char* method, const Request& request) {
    return Annotate(CallGuest<Response>(agent_, method, request, deadline_), method);
  }

  Result<guest::v1::CreateContainerRequest> Container() {
    FARLET_ASSIGN(const Document spec, ParseDocument(Spec(folder_).dump()));
    FARLET_ASSIGN(ContainerPlan plan, TranslateContainer(spec, kContainer, RealHostFacts()));
    FARLET_ASSIGN(
        auto layers,
        machine_.PlaceRootfs(
            {{.type = "bind", .source = RootOf(folder_).string(), .options = {"rbind", "ro"}}}));
    for (auto& layer : layers) {
      *plan.request.mutable_rootfs()->add_layers() = std::move(layer);
    }
    for (const ShareNeed& need : plan.shares) {
      const SharedPath shared{.host_path = need.host_path,
                              .readonly = need.readonly,
                              .writable_below = need.writable_below};
      FARLET_ASSIGN(*plan.request.mutable_mounts(need.mount)->mutable_share_path(),
                    machine_.Share(shared));
      shared_.push_back(shared);
    }
    for (const VolumeNeed& volume : plan.volumes) {
      FARLET_TRY(Sync(volume.name));
    }
    return std::move(plan.request);
  }

  Status Sync(const std::string& name) {
    guest::v1::SyncVolumeRequest request;
    request.set_name(name);
    request.set_first(true);
    request.set_last(true);
    request.set_generation(1);
    for (const char* key : {"token", "ca.crt", "namespace"}) {
      auto& file = *request.add_files();
      file.set_path(key);
      file.set_mode(0644);
      file.set_data(key);
    }
    FARLET_TRY(Call<guest::v1::SyncVolumeResponse>("SyncVolume", request));
    return {};
  }

  // Until the container has ended, well.
  Status Watch() {
    for (const uint32_t stream : {1u, 2u}) {
      for (bool end = false; !end;) {
        guest::v1::ReadOutputRequest read;
        read.set_container_id(kContainer);
        read.set_stream(stream);
        FARLET_ASSIGN(const auto chunk, Call<guest::v1::ReadOutputResponse>("ReadOutput", read));
        end = chunk.eof();
      }
    }
    guest::v1::WaitRequest wait;
    wait.set_container_id(kContainer);
    FARLET_ASSIGN(const auto ended, Call<guest::v1::WaitResponse>("Wait", wait));
    return ended.exit_status() == 0
               ? Status()
               : Status(Internal(fmt::format("the rehearsal's program ended with status {}",
                                             ended.exit_status())));
  }

  Machine& machine_;
  const int agent_;
  const path& folder_;
  const SteadyTime deadline_;
  std::vector<SharedPath> shared_;
};

}  // namespace

Status Rehearse(Machine& machine, int agent, const path& folder, SteadyTime deadline) {
  return Annotate(Play(machine, agent, folder, deadline).Perform(), "rehearse a pod's start");
}

Result<path> MakeStage(const path& cache) {
  const std::string_view program = RehearsalProgram();
  const path folder = cache / "rehearsal" / Sha256Hex(program).substr(0, kKeyDigits);
  const path executable = RootOf(folder) / path(kProgram).relative_path();
  std::error_code ignored;
  // Written last.
  if (std::filesystem::exists(executable, ignored)) {
    return folder;
  }
  for (const path& made :
       {FilesOf(folder), FilesOf(folder) / "shm", VolumeOf(folder), RootOf(folder)}) {
    FARLET_TRY(MakeDirectories(made, 0755));
  }
  for (const char* name : {"hosts", "hostname", "resolv.conf", "termination-log"}) {
    FARLET_TRY(WriteFileAtomic(FilesOf(folder) / name, name, 0644));
  }
  FARLET_TRY(WriteFileAtomic(executable, program, 0755));
  return folder;
}

}  // namespace farlet::shim
