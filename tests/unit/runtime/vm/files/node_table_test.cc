#include "runtime/vm/files/node_table.h"

#include "runtime/base/file.h"
#include "runtime/vm/files/file_access.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace farlet::files {
namespace {

constexpr uint32_t kFewFds = 256;  // the least that a table keeps

class NodeTableTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (std::filesystem::temp_directory_path() / "farlet-nodes-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    AddRoot();
  }

  void AddRoot() {
    UniqueFd root(::open(folder_.c_str(), O_PATH | O_CLOEXEC));

    struct statx description {};

    ASSERT_EQ(Describe(root.get(), description), 0);
    nodes_.AddFixed(NodeTable::kRoot, std::move(root), description);
  }

  void TearDown() override { std::filesystem::remove_all(folder_); }

  int LookUp(uint64_t folder, const std::string& name, uint64_t& id) {
    Node* node = nullptr;
    UniqueFd entry;

    struct statx description {};

    int error = nodes_.Find(folder, node);
    if (error == 0) {
      error = OpenEntry(node->fd.get(), name.c_str(), entry);
    }
    if (error == 0) {
      error = Describe(entry.get(), description);
    }
    return error != 0 ? error
                      : nodes_.Remember(std::move(entry), description, folder, name.c_str(), id);
  }

  uint64_t IdOf(uint64_t folder, const std::string& name) {
    uint64_t id = 0;
    EXPECT_EQ(LookUp(folder, name, id), 0) << name;
    return id;
  }

  // So many others that the descriptors of all nodes before are closed.
  void UseManyOthers() {
    std::filesystem::create_directories(folder_ / "others");
    const uint64_t others = IdOf(NodeTable::kRoot, "others");
    for (uint32_t i = 0; i < kFewFds + 1; ++i) {
      const std::string name = std::to_string(i);
      std::filesystem::create_directories(folder_ / "others" / name);
      IdOf(others, name);
    }
  }

  bool IsOpen(uint64_t id) {
    Node* node = nullptr;
    return nodes_.Find(id, node) == 0 && node->fd.valid();
  }

  std::filesystem::path folder_;
  NodeTable nodes_{2000, kFewFds};
};

TEST_F(NodeTableTest, OneFileIsOneNodeUntilItIsForgotten) {
  ASSERT_TRUE(WriteFileAtomic(folder_ / "a", "", 0600));
  std::filesystem::create_hard_link(folder_ / "a", folder_ / "b");
  const uint64_t id = IdOf(NodeTable::kRoot, "a");
  EXPECT_EQ(IdOf(NodeTable::kRoot, "b"), id);
  nodes_.Forget(id, 1);
  EXPECT_TRUE(IsOpen(id));
  nodes_.Forget(id, 1);
  EXPECT_FALSE(IsOpen(id));
  const uint64_t again = IdOf(NodeTable::kRoot, "a");
  EXPECT_NE(again, id);
  nodes_.Forget(again, UINT64_MAX);  // more than it was told: all of them
  EXPECT_EQ(nodes_.size(), 1U);
  EXPECT_EQ(nodes_.open_fds(), 0U);
}

TEST_F(NodeTableTest, FixedNodesAreNotForgotten) {
  nodes_.Forget(NodeTable::kRoot, UINT64_MAX);
  EXPECT_TRUE(IsOpen(NodeTable::kRoot));
}

TEST_F(NodeTableTest, HasALimit) {
  nodes_ = NodeTable(2, kFewFds);
  AddRoot();
  std::filesystem::create_directories(folder_ / "a");
  std::filesystem::create_directories(folder_ / "b");
  const uint64_t id = IdOf(NodeTable::kRoot, "a");
  uint64_t none = 0;
  EXPECT_EQ(LookUp(NodeTable::kRoot, "b", none), ENFILE);
  EXPECT_EQ(IdOf(NodeTable::kRoot, "a"), id);
  nodes_.Forget(id, 2);
  EXPECT_EQ(LookUp(NodeTable::kRoot, "b", none), 0);
}

TEST_F(NodeTableTest, ClosedDescriptorsAreFoundAgainByName) {
  std::filesystem::create_directories(folder_ / "a" / "b" / "c");
  const uint64_t a = IdOf(NodeTable::kRoot, "a");
  const uint64_t b = IdOf(a, "b");
  const uint64_t c = IdOf(b, "c");
  UseManyOthers();
  EXPECT_EQ(nodes_.open_fds(), kFewFds);
  EXPECT_TRUE(IsOpen(c));
  EXPECT_EQ(IdOf(b, "c"), c);
}

TEST_F(NodeTableTest, AClosedNodeFollowsARenameThatItIsToldOf) {
  std::filesystem::create_directories(folder_ / "a");
  const uint64_t a = IdOf(NodeTable::kRoot, "a");
  Node* node = nullptr;
  ASSERT_EQ(nodes_.Find(a, node), 0);
  const NodeKey key = node->key;
  UseManyOthers();
  std::filesystem::rename(folder_ / "a", folder_ / "z");
  nodes_.Moved(key, NodeTable::kRoot, "z");
  EXPECT_TRUE(IsOpen(a));
}

TEST_F(NodeTableTest, AClosedNodeIsStaleWhenSomethingElseHasItsName) {
  std::filesystem::create_directories(folder_ / "a");
  std::filesystem::create_directories(folder_ / "link-target");
  const uint64_t a = IdOf(NodeTable::kRoot, "a");
  UseManyOthers();
  std::filesystem::rename(folder_ / "a", folder_ / "elsewhere");
  Node* node = nullptr;
  EXPECT_EQ(nodes_.Find(a, node), ESTALE);
  std::filesystem::create_directory_symlink("link-target", folder_ / "a");
  EXPECT_EQ(nodes_.Find(a, node), ESTALE);
  std::filesystem::remove(folder_ / "a");
  std::filesystem::create_directories(folder_ / "a");
  EXPECT_EQ(nodes_.Find(a, node), ESTALE);
  EXPECT_NE(IdOf(NodeTable::kRoot, "a"), a);
}

TEST_F(NodeTableTest, AnOpenNodeFollowsItsFile) {
  std::filesystem::create_directories(folder_ / "a" / "inside");
  const uint64_t a = IdOf(NodeTable::kRoot, "a");
  std::filesystem::rename(folder_ / "a", folder_ / "b");
  EXPECT_NE(IdOf(a, "inside"), 0U);
}

}  // namespace
}  // namespace farlet::files
