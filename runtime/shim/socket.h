#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <string>
#include <string_view>

// The shim's own socket, as containerd expects it (runtime v2).
namespace farlet::shim {

// <folder>/<sha256 of address/namespace/group>: one socket per pod and containerd, 106 bytes at
// most. `folder` is /run/containerd/s unless containerd names another.
Result<std::filesystem::path> SocketPath(const std::filesystem::path& folder,
                                         std::string_view containerd_address,
                                         std::string_view containerd_namespace,
                                         std::string_view group);

inline constexpr std::string_view kSocketFolder = "/run/containerd/s";

enum class SocketKind { kStream, kMessages };

// Listens with mode 0600. A socket that is there and that nobody answers is replaced. Error:
// kAlreadyExists when somebody answers.
Result<UniqueFd> ListenUnix(const std::filesystem::path& path,
                            SocketKind kind = SocketKind::kStream);

// Connects; blocking, but a local connect is over at once.
Result<UniqueFd> ConnectUnix(const std::filesystem::path& path,
                             SocketKind kind = SocketKind::kStream);

}  // namespace farlet::shim
