#include "runtime/vm/template_store.h"

#include "runtime/base/file.h"
#include "runtime/vm/template_manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace farlet::vm {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint64_t kBytes = 1u << 20;

steady_clock::time_point Soon(milliseconds time = milliseconds(30000)) {
  return steady_clock::now() + time;
}

std::string ContentOf(const UniqueFd& fd, size_t size) {
  std::string content(size, '\0');
  content.resize(
      static_cast<size_t>(std::max<ssize_t>(::pread(fd.get(), content.data(), size, 0), 0)));
  return content;
}

class TemplateStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "farlet-templates-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }

  void TearDown() override { fs::remove_all(folder_); }

  TemplateStore Store(TemplateStore::Limits limits = {.min_free_bytes = 0}) const {
    return TemplateStore(folder_, limits);
  }

  TemplateStore::Build Good() {
    return [this](TemplateDraft& draft) -> Status {
      const std::string number = fmt::format("memory {}", ++builds_);
      (void)!::pwrite(draft.memory.get(), number.data(), number.size(), 0);
      (void)!::pwrite(draft.memory.get(), "end", 3, kBytes - 3);
      (void)!::write(draft.state.get(), "state", 5);
      return {};
    };
  }

  // Names of everything in the folder.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    return names;
  }

  void Age(const std::string& key, std::chrono::hours age) const {
    fs::last_write_time(folder_ / key / "used", fs::file_time_type::clock::now() - age);
  }

  fs::path folder_;
  std::atomic<int> builds_ = 0;
};

TEST_F(TemplateStoreTest, BuildsOnceAndOpens) {
  EXPECT_EQ(Store().Open("key").error().code, Code::kNotFound);
  for (int i = 0; i < 3; ++i) {
    const auto opened = Store().OpenOrBuild("key", kBytes, Soon(), Good());
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(ContentOf(opened->memory, 8), "memory 1");
    EXPECT_EQ(ContentOf(opened->state, 100), "state");
    EXPECT_EQ(::lseek(opened->state.get(), 0, SEEK_CUR), 0) << "read from its start";
    EXPECT_EQ(::lseek(opened->memory.get(), 0, SEEK_END), static_cast<off_t>(kBytes));
    EXPECT_EQ(::fcntl(opened->memory.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  }
  EXPECT_EQ(builds_, 1);
  EXPECT_EQ(Names(), (std::vector<std::string>{"key", "lock"}));
  EXPECT_EQ(fs::status(folder_ / "key").permissions(), fs::perms::owner_all);
}

TEST_F(TemplateStoreTest, DiskBelongsToIt) {
  const auto with_disk = [good = Good()](TemplateDraft& draft) -> Status {
    std::ofstream(draft.disk) << "disk";
    return good(draft);
  };
  const auto opened = Store().OpenOrBuild("key", kBytes, Soon(), with_disk);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(ContentOf(opened->disk, 100), "disk");
  EXPECT_TRUE(Store().Verify("key", Soon()));
  std::ofstream(folder_ / "key" / "disk") << "spoilt";
  EXPECT_EQ(Store().Open("key").error().code, Code::kDataLoss);
  ASSERT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good()));
  EXPECT_FALSE(Store().Open("key")->disk.valid());
}

TEST_F(TemplateStoreTest, ConcurrentStartsBuildOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto opened = Store().OpenOrBuild("key", kBytes, Soon(), Good());
      good += opened && ContentOf(opened->memory, 8) == "memory 1" ? 1 : 0;
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 8);
  EXPECT_EQ(builds_, 1);
}

TEST_F(TemplateStoreTest, WhoeverWaitsTooLongIsTold) {
  fs::create_directories(folder_);
  const UniqueFd lock(::open((folder_ / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
  const auto opened = Store().OpenOrBuild("key", kBytes, Soon(milliseconds(50)), Good());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kDeadlineExceeded);
  EXPECT_EQ(builds_, 0);
}

TEST_F(TemplateStoreTest, FailedBuildLeavesNothing) {
  const auto fails = [](TemplateDraft& draft) -> Status {
    (void)!::write(draft.state.get(), "half", 4);
    return Internal("no luck");
  };
  const auto opened = Store().OpenOrBuild("key", kBytes, Soon(), fails);
  EXPECT_EQ(opened.error().message, "no luck");
  EXPECT_EQ(Names(), (std::vector<std::string>{"lock"}));
  EXPECT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good())) << "and the next may succeed";
}

TEST_F(TemplateStoreTest, BuildThatForgetsSomethingIsRefused) {
  const auto no_state = [](TemplateDraft&) -> Status { return {}; };
  EXPECT_FALSE(Store().OpenOrBuild("key", kBytes, Soon(), no_state));
  const auto cut = [](TemplateDraft& draft) -> Status {
    (void)!::write(draft.state.get(), "state", 5);
    (void)!::ftruncate(draft.memory.get(), 5);
    return {};
  };
  EXPECT_FALSE(Store().OpenOrBuild("key", kBytes, Soon(), cut));
  EXPECT_EQ(Names(), (std::vector<std::string>{"lock"}));
}

TEST_F(TemplateStoreTest, BuilderThatDiesIsSucceeded) {
  const pid_t child = ::fork();
  if (child == 0) {
    (void)Store()
        .OpenOrBuild("key", kBytes, Soon(),
                     [](TemplateDraft&) -> Status {
                       ::raise(SIGKILL);
                       return {};
                     })
        .has_value();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(Names(), (std::vector<std::string>{fmt::format("building-{}", child), "lock"}));
  EXPECT_EQ(Store().Open("key").error().code, Code::kNotFound) << "never a half-written one";
  EXPECT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good()));
  EXPECT_EQ(Names(), (std::vector<std::string>{"key", "lock"})) << "its leavings are gone";
}

TEST_F(TemplateStoreTest, ChangesAreNoticedAndRepaired) {
  const fs::path memory = folder_ / "key" / "memory";
  const fs::path state = folder_ / "key" / "state";
  const fs::path manifest = folder_ / "key" / "manifest.json";
  const std::pair<const char*, std::function<void()>> faults[] = {
      {"a changed memory", [&] { std::fstream(memory, std::ios::in | std::ios::out) << "X"; }},
      {"a cut memory", [&] { fs::resize_file(memory, kBytes / 2); }},
      {"a changed state", [&] { std::ofstream(state) << "stale"; }},
      {"no memory", [&] { fs::remove(memory); }},
      {"no state", [&] { fs::remove(state); }},
      {"a memory that is a link",
       [&] {
         fs::rename(memory, folder_ / "key" / "elsewhere");
         fs::create_symlink("elsewhere", memory);
       }},
      {"an empty manifest", [&] { std::ofstream(manifest, std::ios::trunc).flush(); }},
      {"a manifest of nonsense", [&] { std::ofstream(manifest) << "{\"version\": 1}"; }},
      {"no manifest", [&] { fs::remove(manifest); }},
      {"another's manifest",
       [&] {
         auto parsed = ParseManifest(*ReadFile(manifest));
         parsed->key = "other";
         std::ofstream(manifest) << FormatManifest(*parsed);
       }},
  };
  ASSERT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good()));
  for (const auto& [name, fault] : faults) {
    SCOPED_TRACE(name);
    const int before = builds_;
    fault();
    EXPECT_FALSE(Store().Open("key"));
    const auto again = Store().OpenOrBuild("key", kBytes, Soon(), Good());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(builds_, before + 1);
  }
}

TEST_F(TemplateStoreTest, VerifyReadsTheMemory) {
  ASSERT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good()));
  EXPECT_TRUE(Store().Verify("key", Soon()));
  EXPECT_EQ(Store().Verify("other", Soon()).error().code, Code::kNotFound);
  // A change that left no trace but in the content: the manifest agrees with the times.
  const fs::path path = folder_ / "key" / "memory";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "X", 1, 4), 1);
  auto manifest = ParseManifest(*ReadFile(folder_ / "key" / "manifest.json"));
  const std::string checksum = manifest->memory.checksum;
  manifest->memory = *DescribeFile(fd.get());
  manifest->memory.checksum = checksum;
  std::ofstream(folder_ / "key" / "manifest.json") << FormatManifest(*manifest);
  ASSERT_TRUE(Store().Open("key"));
  EXPECT_EQ(Store().Verify("key", Soon()).error().code, Code::kDataLoss);
  EXPECT_EQ(Store().Open("key").error().code, Code::kNotFound) << "removed";
}

// What a clone does to the file by reading where it has a hole.
TEST_F(TemplateStoreTest, FilledHolesAreNoChange) {
  ASSERT_TRUE(Store().OpenOrBuild("key", kBytes, Soon(), Good()));
  const fs::path path = folder_ / "key" / "memory";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  const std::string before = *ChecksumOf(fd.get());
  const std::string zeros(8192, '\0');
  ASSERT_EQ(::pwrite(fd.get(), zeros.data(), zeros.size(), 65536), 8192);
  EXPECT_EQ(*ChecksumOf(fd.get()), before);
  ASSERT_EQ(::pwrite(fd.get(), "X", 1, 65536), 1);
  const std::string changed = *ChecksumOf(fd.get());
  EXPECT_NE(changed, before);
  ASSERT_EQ(::pwrite(fd.get(), "\0", 1, 65536), 1);
  ASSERT_EQ(::pwrite(fd.get(), "X", 1, 65536 + 4096), 1);
  EXPECT_NE(*ChecksumOf(fd.get()), changed) << "the place counts";
}

TEST_F(TemplateStoreTest, OpenFilesOutliveTheTemplate) {
  const auto opened = Store().OpenOrBuild("key", kBytes, Soon(), Good());
  ASSERT_TRUE(opened);
  fs::remove_all(folder_ / "key");
  EXPECT_EQ(ContentOf(opened->memory, 8), "memory 1");
}

TEST_F(TemplateStoreTest, UnusedOnesGo) {
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_TRUE(Store().OpenOrBuild(key, kBytes, Soon(), Good()));
  }
  Age("a", std::chrono::hours(13));
  Age("b", std::chrono::hours(13));
  ASSERT_TRUE(Store().Open("b")) << "a use";
  ASSERT_TRUE(Store().OpenOrBuild("d", kBytes, Soon(), Good()));
  EXPECT_EQ(Names(), (std::vector<std::string>{"b", "c", "d", "lock"}));
}

TEST_F(TemplateStoreTest, TooManyGoTheLeastUsedFirst) {
  const TemplateStore::Limits three{.max_templates = 3, .min_free_bytes = 0};
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_TRUE(Store(three).OpenOrBuild(key, kBytes, Soon(), Good()));
  }
  Age("a", std::chrono::hours(1));
  Age("b", std::chrono::hours(3));
  Age("c", std::chrono::hours(2));
  ASSERT_TRUE(Store(three).OpenOrBuild("d", kBytes, Soon(), Good()));
  EXPECT_EQ(Names(), (std::vector<std::string>{"a", "c", "d", "lock"}));
}

TEST_F(TemplateStoreTest, FullFileSystemIsNamed) {
  const auto opened = Store({.min_free_bytes = ~0ull}).OpenOrBuild("key", kBytes, Soon(), Good());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kResourceExhausted);
  EXPECT_NE(opened.error().message.find(folder_.string()), std::string::npos);
  EXPECT_EQ(builds_, 0);
}

TEST(TemplateManifestTest, RoundTripAndOtherVersions) {
  const TemplateManifest manifest{.key = "k", .memory = {1, 2, 3, "m"}, .state = {4, 5, 6, "s"}};
  EXPECT_EQ(*ParseManifest(FormatManifest(manifest)), manifest);
  std::string other = FormatManifest(manifest);
  other.replace(other.find("\"version\":1"), 11, "\"version\":9");
  EXPECT_EQ(ParseManifest(other).error().code, Code::kDataLoss);
}

}  // namespace
}  // namespace farlet::vm
