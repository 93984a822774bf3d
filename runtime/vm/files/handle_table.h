#pragma once

#include "runtime/base/fd.h"

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

namespace farlet::files {

// An open file or folder of the guest.
struct Handle {
  UniqueFd fd;
  bool folder = false;
  bool append = false;  // opened with O_APPEND
  off_t position = 0;   // of a folder's descriptor; -1: not known
};

class HandleTable {
 public:
  HandleTable(uint32_t max_handles, uint64_t first_id)
      : max_handles_(max_handles), next_id_(first_id) {}

  // ENFILE when there are too many.
  int Add(Handle handle, uint64_t& id);

  // nullptr: unknown, or not of that kind.
  Handle* Find(uint64_t id, bool folder);

  void Remove(uint64_t id) { handles_.erase(id); }

  size_t size() const { return handles_.size(); }

 private:
  uint32_t max_handles_;
  uint64_t next_id_;
  std::unordered_map<uint64_t, Handle> handles_;
};

}  // namespace farlet::files
