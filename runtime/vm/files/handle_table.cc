#include "runtime/vm/files/handle_table.h"

#include <cerrno>
#include <utility>

namespace farlet::files {

int HandleTable::Add(Handle handle, uint64_t& id) {
  if (handles_.size() >= max_handles_) {
    return ENFILE;
  }
  id = next_id_++;
  handles_.emplace(id, std::move(handle));
  return 0;
}

Handle* HandleTable::Find(uint64_t id, bool folder) {
  const auto found = handles_.find(id);
  if (found == handles_.end() || found->second.folder != folder) {
    return nullptr;
  }
  return &found->second;
}

}  // namespace farlet::files
