// Real images, mounted by this host's kernel. Needs root, mkfs.erofs and overlayfs; skipped
// otherwise.
#include "runtime/vm/disk/image_cache.h"

#include "runtime/base/file.h"
#include "tests/unit/temp_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <set>

namespace farlet::disk {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool EnterMountNamespace() {
  static const bool entered = ::unshare(CLONE_NEWNS) == 0 &&
                              ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return entered;
}

class ImageCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || !EnterMountNamespace()) {
      GTEST_SKIP() << "needs root and a mount namespace of its own";
    }
    if (::access("/usr/bin/mkfs.erofs", X_OK) != 0) {
      GTEST_SKIP() << "needs mkfs.erofs";
    }
    fs::create_directories(mount_);
    options_.folder = folder_ / "cache";
  }

  void TearDown() override {
    ::umount2(mount_.c_str(), MNT_DETACH);
    ::umount2(options_.folder.c_str(), MNT_DETACH);
  }

  fs::path Layer(const std::string& name) {
    const fs::path layer = folder_ / name;
    fs::create_directories(layer);
    return layer;
  }

  static void Put(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
  }

  static std::string Read(const fs::path& path) {
    const auto content = ReadFile(path);
    return content ? *content : "<" + content.error().message + ">";
  }

  static void Whiteout(const fs::path& path) { ASSERT_EQ(::mknod(path.c_str(), S_IFCHR, 0), 0); }

  Result<LeasedImage> Ensure(const std::vector<fs::path>& layers) {
    return ImageCache(options_).Ensure(layers);
  }

  // Mounts it at mount_.
  void Mount(const fs::path& image) {
    ::umount2(mount_.c_str(), MNT_DETACH);
    const std::string command =
        "mount -t erofs -o loop,ro " + image.string() + " " + mount_.string();
    ASSERT_EQ(std::system(command.c_str()), 0);  // NOLINT: mount(8) sets the loop device up
  }

  std::set<std::string> CacheFiles() {
    std::set<std::string> files;
    for (const auto& entry : fs::directory_iterator(options_.folder)) {
      if (entry.is_regular_file()) {
        files.insert(entry.path().extension());
      }
    }
    return files;
  }

  TempFolder folder_;
  fs::path mount_ = folder_ / "mount";
  ImageCacheOptions options_;
};

TEST_F(ImageCacheTest, TheMergedViewOfItsLayers) {
  const fs::path bottom = Layer("bottom");
  const fs::path middle = Layer("middle");
  const fs::path top = Layer("top");
  Put(bottom / "etc/kept", "bottom");
  Put(bottom / "etc/replaced", "bottom");
  Put(bottom / "etc/removed", "bottom");
  Put(bottom / "opaque/hidden", "bottom");
  Put(middle / "etc/replaced", "middle");
  Put(middle / "opaque/shown", "middle");
  ASSERT_EQ(::setxattr((middle / "opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  fs::create_directories(top / "etc");
  Whiteout(top / "etc/removed");
  Put(top / "bin/tool", "tool");
  fs::create_hard_link(top / "bin/tool", top / "bin/same");
  ASSERT_EQ(::chown((top / "bin/tool").c_str(), 1000, 70000), 0);
  ASSERT_EQ(::chmod((top / "bin/tool").c_str(), 06755), 0);
  ASSERT_EQ(::setxattr((top / "bin/tool").c_str(), "user.note", "x", 1, 0), 0);
  ASSERT_EQ(::mknod((top / "device").c_str(), S_IFCHR | 0620, makedev(5, 1)), 0);
  fs::create_symlink("etc/kept", top / "link");
  const timespec old{.tv_sec = 1'000'000'000, .tv_nsec = 7};
  const std::array<timespec, 2> times{old, old};
  ASSERT_EQ(::utimensat(AT_FDCWD, (top / "bin/tool").c_str(), times.data(), 0), 0);

  const auto image = Ensure({top, middle, bottom});
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_TRUE(image->built);
  EXPECT_EQ(fs::file_size(image->path), kSlotBytes);

  struct stat info {};

  ASSERT_EQ(::stat(image->path.c_str(), &info), 0);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
  Mount(image->path);
  EXPECT_EQ(Read(mount_ / "etc/kept"), "bottom");
  EXPECT_EQ(Read(mount_ / "etc/replaced"), "middle");
  EXPECT_FALSE(fs::exists(fs::symlink_status(mount_ / "etc/removed")));
  EXPECT_FALSE(fs::exists(mount_ / "opaque/hidden"));
  EXPECT_EQ(Read(mount_ / "opaque/shown"), "middle");
  EXPECT_EQ(fs::read_symlink(mount_ / "link"), "etc/kept");
  ASSERT_EQ(::stat((mount_ / "bin/tool").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  EXPECT_EQ(info.st_gid, 70000U);
  EXPECT_EQ(info.st_mode & 07777U, 06755U);
  EXPECT_EQ(info.st_nlink, 2U);
  EXPECT_EQ(info.st_mtim.tv_sec, old.tv_sec);
  std::array<char, 16> value{};
  EXPECT_EQ(::getxattr((mount_ / "bin/tool").c_str(), "user.note", value.data(), value.size()), 1);
  EXPECT_EQ(::listxattr((mount_ / "opaque").c_str(), value.data(), value.size()), 0);
  ASSERT_EQ(::stat((mount_ / "device").c_str(), &info), 0);
  EXPECT_EQ(info.st_rdev, makedev(5, 1));
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST_F(ImageCacheTest, OneLayerAloneAppliesItsWhiteouts) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", "content");
  Whiteout(layer / "gone");
  const auto image = Ensure({layer});
  ASSERT_TRUE(image) << image.error().message;
  Mount(image->path);
  EXPECT_EQ(Read(mount_ / "file"), "content");
  EXPECT_FALSE(fs::exists(fs::symlink_status(mount_ / "gone")));
}

TEST_F(ImageCacheTest, ManyLayersWithLongNames) {
  std::vector<fs::path> layers;
  for (int i = 0; i < 128; ++i) {
    layers.push_back(Layer(std::string(100, 'n') + ",:" + std::to_string(i)));
    Put(layers.back() / ("from-" + std::to_string(i)), "");
  }
  const auto image = Ensure(layers);
  ASSERT_TRUE(image) << image.error().message;
  Mount(image->path);
  EXPECT_EQ(std::distance(fs::directory_iterator(mount_), {}), 128);
  layers.push_back(Layer("one-more"));
  const auto refused = Ensure(layers);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
}

TEST_F(ImageCacheTest, IsBuiltOnceAndAgainForChangedLayers) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", "content");
  const auto first = Ensure({layer});
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Ensure({layer});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_FALSE(second->built);
  EXPECT_EQ(second->path, first->path);
  EXPECT_EQ(second->bytes, first->bytes);
  // The same name, another snapshot.
  fs::rename(layer, folder_ / "old");
  Put(Layer("layer") / "file", "other");
  const auto third = Ensure({layer});
  ASSERT_TRUE(third);
  EXPECT_TRUE(third->built);
  EXPECT_NE(third->path, first->path);
}

TEST_F(ImageCacheTest, ConcurrentProcessesBuildOnce) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", std::string(3'000'000, 'x'));
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    children.push_back(::fork());
    if (children.back() == 0) {
      const auto image = Ensure({layer});
      ::_exit(!image ? 2 : (image->built ? 1 : 0));
    }
  }
  int built = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_LE(WEXITSTATUS(status), 1);
    built += WEXITSTATUS(status);
  }
  EXPECT_EQ(built, 1);
  EXPECT_EQ(CacheFiles(), (std::set<std::string>{".erofs", ".manifest", ".lock", ".building"}));
}

// As pods do: those that came while it was built keep it as long as they live.
TEST_F(ImageCacheTest, NobodyWaitsForTheLeasesOfOthers) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", std::string(3'000'000, 'x'));
  std::vector<std::future<Result<LeasedImage>>> asked;
  for (int i = 0; i < 8; ++i) {
    asked.push_back(std::async(std::launch::async, [&] { return Ensure({layer}); }));
  }
  std::vector<LeasedImage> leased;
  for (auto& each : asked) {
    auto image = each.get();
    ASSERT_TRUE(image) << image.error().message;
    leased.push_back(std::move(*image));
  }
  EXPECT_EQ(std::ranges::count_if(leased, [](const auto& image) { return image.built; }), 1);
}

// Also while a pod uses it, which keeps what it has open.
TEST_F(ImageCacheTest, ADamagedImageIsBuiltAgain) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", std::string(100'000, 'x'));
  const auto image = Ensure({layer});
  ASSERT_TRUE(image) << image.error().message;
  {
    std::fstream file(image->path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8192);
    file.put('!');
  }
  const auto again = Ensure({layer});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->built);
  Mount(again->path);
  EXPECT_EQ(Read(mount_ / "file"), std::string(100'000, 'x'));
}

TEST_F(ImageCacheTest, WhatACrashedBuildLeftIsReplaced) {
  const fs::path layer = Layer("layer");
  Put(layer / "file", "content");
  const auto key = ImageCache(options_).KeyOf({layer});
  ASSERT_TRUE(key);
  fs::create_directories(options_.folder);
  Put(options_.folder / (*key + ".new-1-1"), "half an image");
  Put(options_.folder / (*key + ".erofs"), "an image without manifest");
  const auto image = Ensure({layer});
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_TRUE(image->built);
  EXPECT_EQ(CacheFiles(), (std::set<std::string>{".erofs", ".manifest", ".lock", ".building"}));
}

TEST_F(ImageCacheTest, CollectsByAgeAndSizeButNothingInUse) {
  options_.max_bytes = 0;
  auto used = Ensure({Layer("used")});
  ASSERT_TRUE(used) << used.error().message;
  ASSERT_TRUE(Ensure({Layer("unused")}));
  ImageCache cache(options_);
  auto stats = cache.Collect();
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->removed, 1U);
  EXPECT_EQ(stats->kept, 1U);
  EXPECT_EQ(stats->in_use, 1U);
  EXPECT_TRUE(fs::exists(used->path));
  used->lease.Close();
  options_.max_bytes = 1u << 30;
  options_.max_age = std::chrono::hours(1);
  stats = ImageCache(options_).Collect();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->removed, 0U);
  for (const auto& entry : fs::directory_iterator(options_.folder)) {
    if (entry.path().extension() == ".lock") {
      fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::hours(2));
    }
  }
  stats = ImageCache(options_).Collect();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->removed, 1U);
  EXPECT_TRUE(CacheFiles().empty());
}

TEST_F(ImageCacheTest, RemovesTheLongestUnusedFirst) {
  for (const char* name : {"a", "b", "c"}) {
    Put(Layer(name) / "file", std::string(1'000'000, 'x'));
    ASSERT_TRUE(Ensure({folder_ / name}));
  }
  ASSERT_TRUE(Ensure({folder_ / "a"}));  // used again
  options_.max_bytes = 2'500'000;
  const auto stats = ImageCache(options_).Collect();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->removed, 1U);
  EXPECT_FALSE(Ensure({folder_ / "a"})->built);
  EXPECT_FALSE(Ensure({folder_ / "c"})->built);
  EXPECT_TRUE(Ensure({folder_ / "b"})->built);
}

TEST_F(ImageCacheTest, ALeaseEndsWithAKilledProcess) {
  const fs::path layer = Layer("layer");
  options_.max_bytes = 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto image = Ensure({layer});
    ::raise(image ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);
  const auto stats = ImageCache(options_).Collect();
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->removed, 1U);
}

TEST_F(ImageCacheTest, UsesAndCollectionsAtTheSameTime) {
  options_.max_bytes = 0;
  const fs::path layer = Layer("layer");
  Put(layer / "file", "content");
  auto collector = std::async(std::launch::async, [&] {
    for (int i = 0; i < 50; ++i) {
      const auto stats = ImageCache(options_).Collect();
      EXPECT_TRUE(stats) << stats.error().message;
    }
  });
  for (int i = 0; i < 30; ++i) {
    const auto image = Ensure({layer});
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_TRUE(fs::exists(image->path));
  }
  collector.get();
}

TEST_F(ImageCacheTest, AFullDiskIsAClearErrorAndLeavesNothing) {
  fs::create_directories(options_.folder);
  ASSERT_EQ(::mount("t", options_.folder.c_str(), "tmpfs", 0, "size=4m"), 0);
  Put(Layer("small") / "file", std::string(2'000'000, 'x'));
  Put(Layer("large") / "file", std::string(8'000'000, 'x'));
  Put(Layer("medium") / "file", std::string(3'000'000, 'x'));
  auto small = Ensure({folder_ / "small"});
  ASSERT_TRUE(small) << small.error().message;
  const auto large = Ensure({folder_ / "large"});
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Code::kResourceExhausted) << large.error().message;
  EXPECT_THAT(large.error().message, HasSubstr((folder_ / "large").string()));
  EXPECT_EQ(std::distance(fs::directory_iterator(options_.folder), {}), 8);  // locks, 4, 2 folders
  // What nobody uses makes room.
  EXPECT_FALSE(Ensure({folder_ / "medium"}));
  small->lease.Close();
  const auto medium = Ensure({folder_ / "medium"});
  EXPECT_TRUE(medium) << medium.error().message;
}

TEST_F(ImageCacheTest, NamesWhatIsMissing) {
  const auto layer = Ensure({folder_ / "no-such-layer"});
  ASSERT_FALSE(layer);
  EXPECT_EQ(layer.error().code, Code::kNotFound);
  EXPECT_THAT(layer.error().message, HasSubstr((folder_ / "no-such-layer").string()));
  EXPECT_FALSE(Ensure({}));
  options_.mkfs_erofs = "mkfs.erofs-of-another-name";
  const auto program = Ensure({Layer("layer")});
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(program.error().message, HasSubstr("mkfs.erofs-of-another-name is not installed"));
}

TEST_F(ImageCacheTest, AnImageLargerThanItsSlotIsRefused) {
  options_.slot_bytes = 1u << 20;
  Put(Layer("layer") / "file", std::string(3'000'000, 'x'));
  const auto image = Ensure({folder_ / "layer"});
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, Code::kInvalidArgument);
  EXPECT_EQ(CacheFiles(), (std::set<std::string>{".lock", ".building"}));
}

}  // namespace
}  // namespace farlet::disk
