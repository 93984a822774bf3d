#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::guest {

namespace v1 {
class DeviceRule;
class Resources;
}  // namespace v1

// One cgroup v2 directory.
class Cgroup {
 public:
  Cgroup() = default;

  // `strict`: a value whose controller is missing is an error; else it is passed over.
  Cgroup(std::string path, bool strict) : path_(std::move(path)), strict_(strict) {}

  const std::string& path() const { return path_; }

  // Makes the directory, with all controllers there are handed down to its children where
  // `parent_of_others`.
  Status Create(bool parent_of_others) const;

  // Also children that processes in it made. Errors: kUnavailable while there are processes.
  Status Remove() const;

  // Errors: kUnimplemented for a controller that is missing, kInvalidArgument for a bad value.
  Status Apply(const v1::Resources& resources) const;

  // O_PATH, to be born in; or readable, to attach programs to.
  Result<UniqueFd> OpenFolder() const;
  Result<UniqueFd> OpenForAttach() const;

  Status KillAll() const;
  Status SignalAll(int signal) const;
  Status SetFrozen(bool frozen) const;

  // By cgroup.events; false when the cgroup is gone.
  bool Populated() const;
  bool Frozen() const;

  // In it and below, at most `max`.
  std::vector<pid_t> Processes(size_t max) const;

  // The count behind `key` in a file of "key value" lines; nothing when it is missing.
  std::optional<uint64_t> Value(std::string_view file, std::string_view key) const;
  // A file with one number; "max" is 2^64 - 1.
  std::optional<uint64_t> Number(std::string_view file) const;
  std::string Text(std::string_view file) const;

  std::string File(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  Status Set(std::string_view file, std::string_view value) const;

  std::string path_;
  bool strict_ = true;
};

// The count behind `key` in "key value" lines.
std::optional<uint64_t> FindValue(std::string_view lines, std::string_view key);

}  // namespace farlet::guest
