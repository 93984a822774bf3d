#include "runtime/vm/files/node_table.h"

#include "runtime/vm/files/file_access.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

namespace farlet::files {
namespace {

uint64_t Mix(uint64_t value) {
  value *= 0x9e3779b97f4a7c15ULL;
  return value ^ (value >> 29U);
}

}  // namespace

uint64_t FirstIdOfSession() {
  uint32_t session = 0;
  if (::getrandom(&session, sizeof(session), 0) != sizeof(session)) {
    session = static_cast<uint32_t>(::time(nullptr));
  }
  return (uint64_t{session & 0x7fffffffU} + 1) << 32U;
}

size_t NodeKeyHash::operator()(const NodeKey& key) const {
  return Mix(key.inode ^ Mix(key.device ^ Mix(key.mount)));
}

NodeKey KeyOf(const struct statx& description) {
  return {.mount = description.stx_mnt_id,
          .device = (uint64_t{description.stx_dev_major} << 32U) | description.stx_dev_minor,
          .inode = description.stx_ino};
}

NodeTable::NodeTable(uint32_t max_nodes, uint32_t max_fds)
    : max_nodes_(max_nodes), max_fds_(std::max(max_fds, kMinFds)), next_id_(FirstIdOfSession()) {}

void NodeTable::AddFixed(uint64_t id, UniqueFd fd, const struct statx& description) {
  Node& node = nodes_[id];
  node.id = id;
  node.key = KeyOf(description);
  node.fd = std::move(fd);
  node.use = in_use_.end();
  ids_[node.key] = id;
}

Node* NodeTable::Known(uint64_t id) {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

void NodeTable::SetFd(Node& node, UniqueFd fd) {
  node.fd = std::move(fd);
  in_use_.push_front(&node);
  node.use = in_use_.begin();
  if (in_use_.size() > max_fds_) {
    Node& oldest = *in_use_.back();
    in_use_.pop_back();
    oldest.use = in_use_.end();
    oldest.fd.Close();
  }
}

int NodeTable::Remember(
    UniqueFd fd, const struct statx& description, uint64_t parent, const char* name, uint64_t& id) {
  const NodeKey key = KeyOf(description);
  if (const auto found = ids_.find(key); found != ids_.end()) {
    Node& node = nodes_.at(found->second);
    if (node.fd.valid() ||
        node.born_ns == Nanoseconds(description.stx_btime.tv_sec, description.stx_btime.tv_nsec)) {
      id = node.id;
      if (id == kRoot || id == kShares) {
        return 0;
      }
      ++node.lookups;
      node.parent = parent;
      node.name = name;
      if (!node.fd.valid()) {
        SetFd(node, std::move(fd));
      }
      return 0;
    }
    // The inode number was used again while we had no descriptor: the old node stays, stale.
    ids_.erase(found);
  }
  if (nodes_.size() >= max_nodes_) {
    return ENFILE;
  }
  id = next_id_++;
  Node& node = nodes_[id];
  node.id = id;
  node.key = key;
  node.born_ns = Nanoseconds(description.stx_btime.tv_sec, description.stx_btime.tv_nsec);
  node.lookups = 1;
  node.parent = parent;
  node.name = name;
  ids_[key] = id;
  SetFd(node, std::move(fd));
  return 0;
}

int NodeTable::Reopen(Node& node) {
  // Down from the first ancestor that is open. What was recorded at different times need not form
  // a tree, hence the limit.
  std::vector<Node*> closed;
  Node* ancestor = &node;
  while (!ancestor->fd.valid()) {
    closed.push_back(ancestor);
    ancestor = Known(ancestor->parent);
    if (ancestor == nullptr || closed.size() > kMaxDepth) {
      return ESTALE;
    }
  }
  // Not through the table: opening a long chain must not close its beginning.
  std::vector<UniqueFd> opened;
  std::reverse(closed.begin(), closed.end());
  for (const Node* step : closed) {
    const int folder = opened.empty() ? ancestor->fd.get() : opened.back().get();
    UniqueFd fd;

    struct statx description {};

    if (OpenEntry(folder, step->name.c_str(), fd) != 0 || Describe(fd.get(), description) != 0 ||
        !(KeyOf(description) == step->key) ||
        Nanoseconds(description.stx_btime.tv_sec, description.stx_btime.tv_nsec) != step->born_ns) {
      return ESTALE;
    }
    opened.push_back(std::move(fd));
  }
  SetFd(node, std::move(opened.back()));
  return 0;
}

int NodeTable::Find(uint64_t id, Node*& node) {
  node = Known(id);
  if (node == nullptr) {
    return ESTALE;
  }
  if (!node->fd.valid()) {
    return Reopen(*node);
  }
  if (node->use != in_use_.end()) {
    in_use_.splice(in_use_.begin(), in_use_, node->use);
  }
  return 0;
}

void NodeTable::Moved(const NodeKey& key, uint64_t parent, const char* name) {
  const auto found = ids_.find(key);
  if (found != ids_.end() && found->second > kShares) {
    Node& node = nodes_.at(found->second);
    node.parent = parent;
    node.name = name;
  }
}

void NodeTable::Forget(uint64_t id, uint64_t lookups) {
  Node* node = Known(id);
  if (node == nullptr || id == kRoot || id == kShares) {
    return;
  }
  node->lookups -= std::min(lookups, node->lookups);
  if (node->lookups > 0) {
    return;
  }
  if (node->use != in_use_.end()) {
    in_use_.erase(node->use);
  }
  if (const auto found = ids_.find(node->key); found != ids_.end() && found->second == id) {
    ids_.erase(found);
  }
  nodes_.erase(id);
}

}  // namespace farlet::files
