#pragma once

#include "runtime/base/fd.h"
#include "runtime/vm/files/file_server.h"
#include "runtime/vm/files/handle_table.h"
#include "runtime/vm/files/node_table.h"
#include "runtime/vm/files/request.h"

#include <cstdint>
#include <memory>
#include <unordered_map>

namespace farlet::files {

// An entry as the kernel lists it.
struct FolderEntry {
  uint64_t inode = 0;
  uint64_t next = 0;  // position behind it
  uint32_t type = 0;  // DT_…
  const char* name = nullptr;
};

// Answers FUSE requests: the file server without its channel and its confinement. One thread.
//
// Every request is the guest's word and may be a lie. Files are only reached by descriptors of
// nodes that this session gave out and by single names below them.
class Session {
 public:
  struct Roots {
    UniqueFd tree;      // O_PATH: the root, which has a folder "s"
    UniqueFd proc_fds;  // /proc/self/fd
  };

  // kNotFound: the tree has no folder "s".
  static Result<std::unique_ptr<Session>> Create(Roots roots, const FileServerOptions& options);

  // `message` is one whole message, as long as its header says. Returns the answer, valid until the
  // next call, or nothing when the request has none.
  Bytes Handle(Bytes message);

  // FUSE_DESTROY was answered.
  bool destroyed() const { return destroyed_; }

  size_t nodes() const { return nodes_.size(); }

  size_t handles() const { return handles_.size(); }

 private:
  Session(Roots roots, const FileServerOptions& options);

  // Each answers in reply_ and returns 0, or returns an errno.
  int Dispatch(Request& request);
  int DispatchNames(Request& request);
  int DispatchData(Request& request);
  int DispatchMore(Request& request);

  int Init(Request& request);
  void Forget(Request& request);
  void BatchForget(Request& request);

  // session_attributes.cc
  int GetAttributes(Request& request);
  int SetAttributes(Request& request);
  int Change(const Node& node, const fuse_setattr_in& wanted);
  int Resize(const Node& node, const fuse_setattr_in& wanted);
  int ReadLink(Request& request);
  int StatFileSystem(Request& request);
  fuse_attr AttributesOf(const struct statx& description);
  uint64_t InodeOf(uint64_t device, uint64_t inode);
  fuse_attr_out AttributeAnswer(const struct statx& description);

  // session_names.cc
  int LookUp(Request& request);
  int MakeNode(Request& request);
  int MakeFolder(Request& request);
  int MakeSymlink(Request& request);
  int Link(Request& request);
  int Remove(Request& request, int flags);
  int Rename(Request& request);
  int Rename2(Request& request);
  int RenameTo(Request& request, uint64_t new_folder, uint32_t flags);
  int Create(Request& request);
  // As open with O_CREAT, but never that on something that is there: what is no regular file must
  // not be opened.
  int OpenOrMake(const fuse_in_header& caller,
                 const Node& folder,
                 const fuse_create_in& wanted,
                 const char* name,
                 UniqueFd& file);
  // Tells the guest of an entry: fills `answer` and counts a lookup.
  int Present(const Node& folder, const char* name, fuse_entry_out& answer);
  int PresentEntry(const Node& folder, const char* name, UniqueFd entry, fuse_entry_out& answer);
  int PresentNew(const Node& folder, const char* name);
  void NoteMoved(const Node& folder, const char* name);

  // session_data.cc
  int Open(Request& request);
  int Read(Request& request);
  int Write(Request& request);
  int Flush(Request& request);
  int Sync(Request& request, bool folder);
  int Release(Request& request);
  int Allocate(Request& request);
  int Seek(Request& request);
  int CopyRange(Request& request);

  // session_folders.cc
  int OpenFolder(Request& request);
  int ReadFolder(Request& request, bool plus);
  // False: there is no room for it.
  bool AddEntry(const Node& folder, const FolderEntry& entry, bool plus, size_t limit);

  // session_xattrs.cc
  int SetXattr(Request& request);
  int GetXattr(Request& request);
  int ListXattrs(Request& request);
  int RemoveXattr(Request& request);
  int OpenForXattrs(uint64_t id, bool change, UniqueFd& file);

  // The folder that a request wants to change something in; EROFS for those of the tree itself.
  int FindWritable(uint64_t id, Node*& node);
  // A node with its description.
  int FindDescribed(uint64_t id, Node*& node, struct statx& description);

  Roots roots_;
  FileServerOptions options_;
  NodeTable nodes_;
  HandleTable handles_;
  // The guest sees one device: the host's devices are folded into the inode numbers.
  std::unordered_map<uint64_t, uint64_t> devices_;
  Reply reply_;
  bool initialized_;
  bool destroyed_ = false;
};

}  // namespace farlet::files
