#pragma once

#include "runtime/base/result.h"

#include <string_view>

namespace farlet::guest {

namespace v1 {
class CreateContainerRequest;
class FurnishRequest;
class PrepareRequest;
class Process;
class SyncVolumeRequest;
}  // namespace v1

// Bounds and forms of what arrives. All errors are kInvalidArgument, or kResourceExhausted for
// what is too much, and name the field.

// [A-Za-z0-9][A-Za-z0-9_.-]*, at most 128 bytes.
Status CheckId(std::string_view what, std::string_view id);

// Absolute, shorter than PATH_MAX, without NUL.
Status CheckAbsolute(std::string_view what, std::string_view path);

// Relative, neither empty nor with empty, "." or ".." parts.
Status CheckRelative(std::string_view what, std::string_view path);

// Without NUL, at most `max` bytes.
Status CheckText(std::string_view what, std::string_view text, size_t max);

Status CheckProcess(const v1::Process& process);
Status CheckContainer(const v1::CreateContainerRequest& request);
Status CheckFurnish(const v1::FurnishRequest& request);
Status CheckPrepare(const v1::PrepareRequest& request);
Status CheckVolume(const v1::SyncVolumeRequest& request);

}  // namespace farlet::guest
