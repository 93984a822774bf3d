#pragma once

#include "runtime/base/fd.h"

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

namespace farlet::files {

// A file as the host knows it. The mount belongs to it: the same file may be writable through one
// share and read-only through another.
struct NodeKey {
  uint64_t mount = 0;
  uint64_t device = 0;
  uint64_t inode = 0;

  bool operator==(const NodeKey&) const = default;
};

struct NodeKeyHash {
  size_t operator()(const NodeKey& key) const;
};

NodeKey KeyOf(const struct statx& description);

// What a file was like when it was opened last: an unchanged one may keep its cached pages.
struct OpenStamp {
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t size = 0;
  bool settled = false;  // the times lie so far back that a later change must show in them

  bool SameAs(const OpenStamp& other) const {
    return mtime_ns == other.mtime_ns && ctime_ns == other.ctime_ns && size == other.size;
  }
};

// Where a session begins to count its ids. A clone may still hold ids of the session that it was
// saved in: those of different sessions do not meet.
uint64_t FirstIdOfSession();

struct Node {
  uint64_t id = 0;
  NodeKey key;
  int64_t born_ns = 0;   // with the inode number tells a file from a later one
  uint64_t lookups = 0;  // how often the guest was told of it
  uint64_t parent = 0;   // where it was seen last
  std::string name;
  UniqueFd fd;  // O_PATH; closed when it was not used for long
  std::list<Node*>::iterator use;
  OpenStamp opened;
};

// The files that the guest knows, by the ids it knows them by. Ids are never used again, and those
// of another session are unknown here.
//
// A node keeps an O_PATH descriptor, which follows it through renames. When there are too many the
// longest unused are closed and found again by parent and name; where something else is by then,
// the node is stale.
class NodeTable {
 public:
  static constexpr uint64_t kRoot = 1;
  static constexpr uint64_t kShares = 2;  // the folder "s"

  NodeTable(uint32_t max_nodes, uint32_t max_fds);

  // The two nodes that every session has. They are never forgotten.
  void AddFixed(uint64_t id, UniqueFd fd, const struct statx& description);

  // The guest is told of `fd`, found as `name` in `parent`: one more lookup of its node, which is
  // new if need be. ENFILE when there are too many.
  int Remember(UniqueFd fd,
               const struct statx& description,
               uint64_t parent,
               const char* name,
               uint64_t& id);

  // The node and its descriptor, opened again if need be; valid while at most a hundred other nodes
  // are asked for. ESTALE.
  int Find(uint64_t id, Node*& node);

  // If the file is known, it is at this place now.
  void Moved(const NodeKey& key, uint64_t parent, const char* name);

  void Forget(uint64_t id, uint64_t lookups);

  size_t size() const { return nodes_.size(); }

  size_t open_fds() const { return in_use_.size(); }

 private:
  static constexpr uint32_t kMinFds = 256;  // one request must not close what it uses
  static constexpr size_t kMaxDepth = 256;

  int Reopen(Node& node);
  void SetFd(Node& node, UniqueFd fd);
  Node* Known(uint64_t id);

  uint32_t max_nodes_;
  uint32_t max_fds_;
  uint64_t next_id_;
  std::unordered_map<uint64_t, Node> nodes_;
  std::unordered_map<NodeKey, uint64_t, NodeKeyHash> ids_;
  std::list<Node*> in_use_;  // those with a descriptor, without the fixed ones; newest first
};

}  // namespace farlet::files
