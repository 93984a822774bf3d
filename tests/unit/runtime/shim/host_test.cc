#include "runtime/base/file.h"
#include "runtime/shim/cgroup.h"
#include "runtime/shim/process_id.h"
#include "runtime/shim/spec/host_facts.h"
#include "runtime/shim/volume_reader.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace farlet::shim {
namespace {

TEST(HostFactsTest, KnowsWhatIsMountedBelow) {
  const std::filesystem::path link = std::filesystem::temp_directory_path() / "farlet-mounts-below";
  std::error_code ignored;
  std::filesystem::remove(link, ignored);
  std::filesystem::create_symlink("/", link);
  const RealHostFacts facts;
  EXPECT_TRUE(facts.HasMountsBelow("/"));
  EXPECT_TRUE(facts.HasMountsBelow(link));
  EXPECT_FALSE(facts.HasMountsBelow("/proc/self"));
  EXPECT_FALSE(facts.HasMountsBelow("/proc/self/cmdline"));
  EXPECT_FALSE(facts.HasMountsBelow("/missing"));
  std::filesystem::remove(link);
}

TEST(CgroupTest, UnderstandsBothDrivers) {
  EXPECT_EQ(*CgroupPath("/kubepods/pod1/abc"), "/kubepods/pod1/abc");
  EXPECT_EQ(*CgroupPath("kubepods/pod1"), "/kubepods/pod1");
  EXPECT_EQ(*CgroupPath("kubepods-burstable-pod1.slice:cri-containerd:abc"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
            "cri-containerd-abc.scope");
  EXPECT_EQ(*CgroupPath(":cri:abc"), "/system.slice/cri-abc.scope");
  EXPECT_FALSE(CgroupPath("/"));
  EXPECT_EQ(*CgroupPath("/../../x"), "/x");
  EXPECT_FALSE(CgroupPath("a:b"));
}

// A folder whose files are written as a cgroup's are.
class CgroupFilesTest : public ::testing::Test {
 protected:
  CgroupFilesTest() { std::filesystem::create_directories(folder_); }

  ~CgroupFilesTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void Make(const std::filesystem::path& file) { EXPECT_TRUE(WriteFileAtomic(file, "", 0644)); }

  static std::string Text(const std::filesystem::path& file) {
    return ReadFile(file).value_or("(none)");
  }

  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("farlet-cgroup-" + std::to_string(::getpid()));
  const std::filesystem::path folder_ = root_ / "kubepods" / "pod1" / "s1";
  const HostLimits limits_{.memory_bytes = 512u << 20, .milli_cpus = 1500, .tasks = 99};
};

TEST_F(CgroupFilesTest, LimitsOfVersionTwo) {
  for (const char* name : {"memory.max", "cpu.max", "pids.max"}) {
    Make(folder_ / name);
  }
  LimitCgroups({folder_}, limits_);
  EXPECT_EQ(Text(folder_ / "memory.max"), "536870912");
  EXPECT_EQ(Text(folder_ / "cpu.max"), "150000 100000");
  EXPECT_EQ(Text(folder_ / "pids.max"), "99");
}

TEST_F(CgroupFilesTest, LimitsOfVersionOneAreInTheirHierarchies) {
  const std::filesystem::path memory = root_ / "memory";
  const std::filesystem::path cpu = root_ / "cpu";
  std::filesystem::create_directories(memory);
  std::filesystem::create_directories(cpu);
  Make(memory / "memory.limit_in_bytes");
  Make(cpu / "cpu.cfs_quota_us");
  LimitCgroups({memory, cpu}, limits_);
  EXPECT_EQ(Text(memory / "memory.limit_in_bytes"), "536870912");
  EXPECT_EQ(Text(cpu / "cpu.cfs_quota_us"), "150000");
  EXPECT_FALSE(std::filesystem::exists(cpu / "memory.limit_in_bytes"));
}

TEST_F(CgroupFilesTest, ControllersAreHandedDownToTheGroup) {
  for (const std::filesystem::path& above : {root_, root_ / "kubepods", root_ / "kubepods/pod1"}) {
    Make(above / "cgroup.subtree_control");
  }
  Make(folder_ / "cgroup.procs");
  EXPECT_EQ(EnterCgroup({folder_}, 77), std::vector<std::filesystem::path>{folder_});
  EXPECT_EQ(Text(folder_ / "cgroup.procs"), "77");
  for (const std::filesystem::path& above : {root_, root_ / "kubepods", root_ / "kubepods/pod1"}) {
    // The kernel takes each write for itself; a file keeps the last, over what was longer.
    EXPECT_TRUE(Text(above / "cgroup.subtree_control").starts_with("+pids")) << above;
  }
}

TEST(ProcessIdTest, IsNotFooledByALaterProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto id = IdOf(child);
  ASSERT_TRUE(id);
  EXPECT_TRUE(IsAlive(*id));
  ProcessId other = *id;
  ++other.start_time;
  EXPECT_FALSE(IsAlive(other));
  EXPECT_TRUE(KillAndWait(other, std::chrono::milliseconds(1000)));
  EXPECT_TRUE(IsAlive(*id));  // it was not meant
  EXPECT_TRUE(KillAndWait(*id, std::chrono::milliseconds(5000)));
  EXPECT_FALSE(IsAlive(*id));
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(KillAndWait(*id, std::chrono::milliseconds(1000)));
  EXPECT_EQ(IdOf(child).error().code, Code::kNotFound);
}

class VolumeReaderTest : public ::testing::Test {
 protected:
  VolumeReaderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "volume-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }

  ~VolumeReaderTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(VolumeReaderTest, ReadsWhatDataLeadsTo) {
  std::filesystem::create_directories(folder_ / "..1" / "sub");
  ASSERT_TRUE(WriteFileAtomic(folder_ / "..1" / "sub" / "b", "B", 0600));
  ASSERT_TRUE(WriteFileAtomic(folder_ / "..1" / "a", "A", 0644));
  std::filesystem::create_symlink("a", folder_ / "..1" / "link");
  std::filesystem::create_symlink("..1", folder_ / "..data");
  std::filesystem::create_symlink("..data/a", folder_ / "a");
  const auto files = ReadVolume(folder_);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 5U);
  EXPECT_EQ((*files)[0].path(), "");
  EXPECT_TRUE((*files)[0].directory());
  EXPECT_EQ((*files)[1].path(), "a");
  EXPECT_EQ((*files)[1].data(), "A");
  EXPECT_EQ((*files)[1].mode(), 0644U);
  EXPECT_EQ((*files)[2].symlink(), "a");
  EXPECT_EQ((*files)[3].path(), "sub");
  EXPECT_EQ((*files)[4].path(), "sub/b");
}

TEST_F(VolumeReaderTest, FollowsDataNowhereElse) {
  std::filesystem::create_symlink("../../etc", folder_ / "..data");
  EXPECT_EQ(ReadVolume(folder_).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ReadVolume(folder_ / "missing").error().code, Code::kNotFound);
}

TEST_F(VolumeReaderTest, ReadsAFolderWithoutData) {
  ASSERT_TRUE(WriteFileAtomic(folder_ / "a", "", 0644));
  const auto files = ReadVolume(folder_);
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2U);
  EXPECT_TRUE((*files)[1].has_data());
}

TEST(CutTest, CutsLargeFilesAndManySmallOnes) {
  std::vector<guest::v1::VolumeFile> files(3);
  files[0].set_path("empty");
  files[0].set_data("");
  files[1].set_path("large");
  files[1].set_data(std::string(2500, 'x'));
  files[2].set_path("link");
  files[2].set_symlink("large");
  const auto requests = CutIntoRequests("v", 7, files, 1000);
  std::string large;
  int links = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].first(), i == 0);
    EXPECT_EQ(requests[i].last(), i + 1 == requests.size());
    EXPECT_EQ(requests[i].generation(), 7U);
    EXPECT_LE(requests[i].ByteSizeLong(), 1000U);
    for (const auto& file : requests[i].files()) {
      if (file.path() == "large") {
        EXPECT_EQ(file.append(), !large.empty());
        large += file.data();
      }
      links += file.has_symlink() ? 1 : 0;
    }
  }
  EXPECT_EQ(large, std::string(2500, 'x'));
  EXPECT_EQ(links, 1);
  EXPECT_EQ(CutIntoRequests("v", 1, {}, 1000).size(), 1U);
}

}  // namespace
}  // namespace farlet::shim
