#include "runtime/guest/checks.h"

#include "proto/guest/v1/guest.pb.h"

#include <climits>
#include <string>

namespace farlet::guest {
namespace {

constexpr size_t kMaxId = 128;
constexpr size_t kMaxWord = 4096;
// The kernel's own bound of one argument (MAX_ARG_STRLEN).
constexpr size_t kMaxArgument = 128u << 10;
constexpr int kMaxArguments = 32768;
constexpr int kMaxEntries = 1024;
constexpr int kMaxLayers = 128;
constexpr int kMaxFiles = 8192;
constexpr size_t kMaxChunk = 1u << 20;

bool IsLetterOrDigit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

Error Bad(std::string_view what, std::string_view why) {
  return InvalidArgument(std::string(what) + ": " + std::string(why));
}

Status CheckCount(std::string_view what, int count, int max) {
  if (count > max) {
    return MakeError(Code::kResourceExhausted, std::string(what) + ": " + std::to_string(count) +
                                                   ", at most " + std::to_string(max));
  }
  return {};
}

template <class Texts>
Status CheckTexts(std::string_view what, const Texts& texts, int max_count, size_t max_size) {
  FARLET_TRY(CheckCount(what, texts.size(), max_count));
  for (const auto& text : texts) {
    FARLET_TRY(CheckText(what, text, max_size));
  }
  return {};
}

Status CheckPaths(std::string_view what,
                  const google::protobuf::RepeatedPtrField<std::string>& paths) {
  FARLET_TRY(CheckCount(what, paths.size(), kMaxEntries));
  for (const std::string& path : paths) {
    FARLET_TRY(CheckAbsolute(what, path));
  }
  return {};
}

template <class Map>
Status CheckMap(std::string_view what, const Map& map) {
  FARLET_TRY(CheckCount(what, static_cast<int>(map.size()), kMaxEntries));
  for (const auto& [key, value] : map) {
    FARLET_TRY(CheckText(what, key, kMaxWord));
    FARLET_TRY(CheckText(what, value, kMaxWord));
    if (key.empty() || key.front() == '/' || key.find("..") != std::string::npos) {
      return Bad(what, "\"" + key.substr(0, kMaxId) + "\" is no name");
    }
  }
  return {};
}

// A device below /dev.
Status CheckDeviceName(std::string_view what, std::string_view name) {
  return CheckId(what, name);
}

// Empty: none.
Status CheckWritableDevice(const std::string& name) {
  return name.empty() ? Status() : CheckDeviceName("writable device", name);
}

Status CheckEmptyDir(const v1::EmptyDir& dir) {
  FARLET_TRY(CheckId("name of an emptyDir", dir.name()));
  if (dir.mode() > 07777) {
    return Bad("mode of emptyDir " + dir.name(), "more than permission bits");
  }
  return {};
}

Status CheckLayer(const v1::Layer& layer) {
  switch (layer.origin_case()) {
    case v1::Layer::kImageDevice:
      return CheckDeviceName("image device of a layer", layer.image_device());
    case v1::Layer::kSharePath:
      return CheckRelative("share path of a layer", layer.share_path());
    case v1::Layer::ORIGIN_NOT_SET:
      break;
  }
  return Bad("layer of the rootfs", "neither a device nor a path");
}

Status CheckRootfs(const v1::Rootfs& rootfs) {
  if (rootfs.layers().empty()) {
    return Bad("rootfs", "no layers");
  }
  FARLET_TRY(CheckCount("layers of the rootfs", rootfs.layers_size(), kMaxLayers));
  for (const v1::Layer& layer : rootfs.layers()) {
    FARLET_TRY(CheckLayer(layer));
  }
  return {};
}

Status CheckMount(const v1::Mount& mount) {
  FARLET_TRY(CheckAbsolute("destination of a mount", mount.destination()));
  FARLET_TRY(CheckText("type of mount " + mount.destination(), mount.type(), kMaxId));
  FARLET_TRY(CheckTexts("options of mount " + mount.destination(), mount.options(), kMaxEntries,
                        kMaxWord));
  switch (mount.origin_case()) {
    case v1::Mount::kSharePath:
      FARLET_TRY(CheckRelative("share path of mount " + mount.destination(), mount.share_path()));
      break;
    case v1::Mount::kVolume:
      FARLET_TRY(CheckId("volume of mount " + mount.destination(), mount.volume()));
      break;
    case v1::Mount::kEmptyDir:
      FARLET_TRY(CheckEmptyDir(mount.empty_dir()));
      break;
    case v1::Mount::kShm:
    case v1::Mount::ORIGIN_NOT_SET:
      break;
  }
  if (!mount.sub_path().empty()) {
    FARLET_TRY(CheckRelative("sub path of mount " + mount.destination(), mount.sub_path()));
    if (mount.origin_case() != v1::Mount::kVolume && mount.origin_case() != v1::Mount::kEmptyDir) {
      return Bad("mount " + mount.destination(), "a sub path of neither volume nor emptyDir");
    }
  }
  return {};
}

Status CheckSeccomp(const v1::Seccomp& seccomp) {
  FARLET_TRY(CheckCount("rules of seccomp", seccomp.syscalls_size(), kMaxEntries));
  FARLET_TRY(CheckCount("architectures of seccomp", seccomp.architectures_size(), kMaxEntries));
  for (const v1::SeccompSyscall& rule : seccomp.syscalls()) {
    FARLET_TRY(CheckCount("names of a seccomp rule", rule.names_size(), kMaxEntries));
    FARLET_TRY(CheckCount("arguments of a seccomp rule", rule.args_size(), 6));
  }
  return {};
}

}  // namespace

Status CheckId(std::string_view what, std::string_view id) {
  if (id.empty() || id.size() > kMaxId) {
    return Bad(what, "must have 1 to 128 characters, not " + std::to_string(id.size()));
  }
  bool good = IsLetterOrDigit(id.front());
  for (const char letter : id) {
    good = good && (IsLetterOrDigit(letter) || letter == '_' || letter == '.' || letter == '-');
  }
  if (!good) {
    return Bad(what,
               R"(must be letters, digits, "_", "." and "-", the first one of the first two)");
  }
  return {};
}

Status CheckText(std::string_view what, std::string_view text, size_t max) {
  if (text.size() > max) {
    return MakeError(Code::kResourceExhausted, std::string(what) + ": " +
                                                   std::to_string(text.size()) +
                                                   " bytes, at most " + std::to_string(max));
  }
  if (text.find('\0') != std::string_view::npos) {
    return Bad(what, "contains a NUL byte");
  }
  return {};
}

Status CheckAbsolute(std::string_view what, std::string_view path) {
  FARLET_TRY(CheckText(what, path, PATH_MAX - 1));
  if (path.empty() || path.front() != '/') {
    return Bad(what, "\"" + std::string(path) + "\" is not absolute");
  }
  return {};
}

Status CheckRelative(std::string_view what, std::string_view path) {
  FARLET_TRY(CheckText(what, path, PATH_MAX - 1));
  std::string_view rest = path;
  while (true) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") {
      return Bad(what, "\"" + std::string(path) + "\" must be relative, without . and .. parts");
    }
    if (slash == std::string_view::npos) {
      return {};
    }
    rest.remove_prefix(slash + 1);
  }
}

Status CheckProcess(const v1::Process& process) {
  if (process.args().empty()) {
    return Bad("process", "no arguments");
  }
  FARLET_TRY(CheckTexts("arguments of the process", process.args(), kMaxArguments, kMaxArgument));
  FARLET_TRY(CheckTexts("environment of the process", process.env(), kMaxArguments, kMaxArgument));
  if (!process.cwd().empty()) {
    FARLET_TRY(CheckAbsolute("working folder of the process", process.cwd()));
  }
  FARLET_TRY(CheckCount("groups of the user", process.user().additional_gids_size(), 65536));
  FARLET_TRY(CheckCount("rlimits of the process", process.rlimits_size(), 64));
  if (process.oom_score_adj() < -1000 || process.oom_score_adj() > 1000) {
    return Bad("oom_score_adj", std::to_string(process.oom_score_adj()) + " is not in -1000..1000");
  }
  if (process.console_size().rows() > USHRT_MAX || process.console_size().columns() > USHRT_MAX) {
    return Bad("console size", "more than 65535");
  }
  return {};
}

Status CheckContainer(const v1::CreateContainerRequest& request) {
  FARLET_TRY(CheckId("container id", request.id()));
  FARLET_TRY(CheckRootfs(request.rootfs()));
  FARLET_TRY(CheckProcess(request.process()));
  FARLET_TRY(CheckCount("mounts", request.mounts_size(), kMaxEntries));
  for (const v1::Mount& mount : request.mounts()) {
    FARLET_TRY(CheckMount(mount));
  }
  FARLET_TRY(CheckPaths("masked path", request.masked_paths()));
  FARLET_TRY(CheckPaths("read-only path", request.readonly_paths()));
  FARLET_TRY(CheckCount("devices", request.devices_size(), kMaxEntries));
  for (const v1::Device& device : request.devices()) {
    FARLET_TRY(CheckAbsolute("path of a device", device.path()));
  }
  FARLET_TRY(CheckCount("device rules", request.device_rules_size(), kMaxEntries));
  FARLET_TRY(CheckMap("sysctls", request.sysctls()));
  FARLET_TRY(CheckMap("unified resources", request.resources().unified()));
  return CheckSeccomp(request.seccomp());
}

Status CheckFurnish(const v1::FurnishRequest& request) {
  return CheckWritableDevice(request.writable_device());
}

Status CheckPrepare(const v1::PrepareRequest& request) {
  if (request.rehearsal() && (!request.hostname().empty() || !request.sysctls().empty() ||
                              request.shm_bytes() != 0 || !request.empty_dirs().empty())) {
    return Bad("rehearsal", "names what cannot be taken back");
  }
  if (request.seed().size() > 512) {
    return Bad("seed", "more than 512 bytes");
  }
  FARLET_TRY(CheckText("hostname", request.hostname(), 64));
  if (!request.machine_id().empty() &&
      (request.machine_id().size() != 32 ||
       request.machine_id().find_first_not_of("0123456789abcdef") != std::string::npos)) {
    return Bad("machine id", "must be 32 hexadecimal digits");
  }
  FARLET_TRY(CheckCount("interfaces", request.interfaces_size(), 64));
  FARLET_TRY(CheckCount("routes", request.routes_size(), kMaxEntries));
  FARLET_TRY(CheckCount("neighbors", request.neighbors_size(), kMaxEntries));
  FARLET_TRY(CheckMap("sysctls", request.sysctls()));
  FARLET_TRY(CheckWritableDevice(request.writable_device()));
  FARLET_TRY(CheckCount("emptyDirs", request.empty_dirs_size(), kMaxEntries));
  for (const v1::EmptyDir& dir : request.empty_dirs()) {
    FARLET_TRY(CheckEmptyDir(dir));
  }
  return {};
}

Status CheckVolume(const v1::SyncVolumeRequest& request) {
  FARLET_TRY(CheckId("name of the volume", request.name()));
  FARLET_TRY(CheckCount("files of volume " + request.name(), request.files_size(), kMaxFiles));
  size_t bytes = 0;
  for (const v1::VolumeFile& file : request.files()) {
    bytes += file.data().size();
    FARLET_TRY(CheckText("symlink in volume " + request.name(), file.symlink(), PATH_MAX - 1));
    if (file.mode() > 07777) {
      return Bad("mode in volume " + request.name(), "more than permission bits");
    }
    if (file.path().empty() && file.directory()) {
      continue;
    }
    FARLET_TRY(CheckRelative("path in volume " + request.name(), file.path()));
    if (file.path().starts_with("..")) {
      return Bad("path in volume " + request.name(), file.path() + " starts with \"..\"");
    }
  }
  if (bytes > kMaxChunk) {
    return MakeError(Code::kResourceExhausted,
                     "volume " + request.name() + ": more than 1 MiB in one chunk");
  }
  return {};
}

}  // namespace farlet::guest
