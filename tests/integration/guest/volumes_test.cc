#include "tests/integration/guest/guest_fixture.h"

#include <gmock/gmock.h>

namespace farlet::guest {
namespace {

using testing::HasSubstr;

class GuestVolumes : public GuestTest {
 protected:
  void SetUp() override {
    GuestTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      ASSERT_TRUE(Prepare());
    }
  }

  static v1::VolumeFile* AddFile(v1::SyncVolumeRequest& request,
                                 const std::string& path,
                                 const std::string& data) {
    v1::VolumeFile* file = request.add_files();
    file->set_path(path);
    file->set_mode(0640);
    file->set_gid(7);
    file->set_data(data);
    return file;
  }

  static v1::SyncVolumeRequest Round(uint64_t generation) {
    v1::SyncVolumeRequest request;
    request.set_name("config");
    request.set_generation(generation);
    request.set_first(true);
    request.set_last(true);
    return request;
  }

  Status Sync(const v1::SyncVolumeRequest& request) {
    auto response = Call<v1::SyncVolumeResponse>("SyncVolume", request);
    return response ? Status() : Status(response.error());
  }

  static v1::CreateContainerRequest MakeReader(const std::string& id, const std::string& script) {
    auto request = MakeShell(id, script);
    v1::Mount* mount = request.add_mounts();
    mount->set_destination("/config");
    mount->set_volume("config");
    mount->add_options("rbind");
    mount->add_options("ro");
    return request;
  }
};

TEST_F(GuestVolumes, AppearsAsAKubeletsVolume) {
  auto round = Round(1);
  AddFile(round, "key", "value");
  AddFile(round, "deep/er/file", "below");
  auto* link = round.add_files();
  link->set_path("link");
  link->set_symlink("key");
  ASSERT_TRUE(Sync(round));
  auto outcome = Run(MakeReader("c",
                                "cat /config/key /config/deep/er/file /config/link; readlink "
                                "/config/key; readlink /config/..data; "
                                "stat -L -c '%a %u %g' /config/key; touch /config/x"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "valuebelowvalue..data/key\n..1\n640 0 7\n");
  EXPECT_THAT(outcome->err, HasSubstr("Read-only file system"));
}

TEST_F(GuestVolumes, ARoundReplacesAllAtOnce) {
  auto round = Round(1);
  AddFile(round, "a", "1");
  AddFile(round, "gone", "1");
  ASSERT_TRUE(Sync(round));
  ASSERT_TRUE(Create(MakeReader("c",
                                "echo up; while [ \"$(cat /config/a)\" != 2 ]; do sleep 0.02; "
                                "done; ls -A /config; ls -A /config/..data/")));
  ASSERT_TRUE(Start("c"));
  ReadUntil("c", "up\n");
  auto first = Round(2);
  first.set_last(false);
  AddFile(first, "a", "");
  ASSERT_TRUE(Sync(first));
  auto last = Round(2);
  last.set_first(false);
  AddFile(last, "a", "2")->set_append(true);
  AddFile(last, "new", "2");
  ASSERT_TRUE(Sync(last));
  EXPECT_EQ(ReadAll("c", 1), "..2\n..data\na\nnew\na\nnew\n");
}

TEST_F(GuestVolumes, UnfinishedRoundsAreThrownAway) {
  auto round = Round(1);
  AddFile(round, "a", "1");
  ASSERT_TRUE(Sync(round));
  auto unfinished = Round(2);
  unfinished.set_last(false);
  AddFile(unfinished, "b", "2");
  ASSERT_TRUE(Sync(unfinished));
  auto other = Round(9);
  other.set_first(false);
  const Status refused = Sync(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  round = Round(3);
  AddFile(round, "c", "3");
  ASSERT_TRUE(Sync(round));
  auto outcome = Run(MakeReader("c", "ls -A /config"));
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "..3\n..data\nc\n");
}

TEST_F(GuestVolumes, SubPathOfAVolume) {
  auto round = Round(1);
  AddFile(round, "key", "value");
  ASSERT_TRUE(Sync(round));
  auto request = MakeShell("c", "cat /etc/one");
  v1::Mount* mount = request.add_mounts();
  mount->set_destination("/etc/one");
  mount->set_volume("config");
  mount->set_sub_path("key");
  auto outcome = Run(request);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->out, "value");
}

TEST_F(GuestVolumes, PathsThatLeadOutAreRefused) {
  for (const char* path : {"../x", "/etc/x", "a/../b", "..data", "a//b", "", "."}) {
    auto round = Round(1);
    AddFile(round, path, "x");
    const Status refused = Sync(round);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code, Code::kInvalidArgument) << path;
  }
  auto round = Round(1);
  auto* link = round.add_files();
  link->set_path("out");
  link->set_symlink("/tmp");
  AddFile(round, "out/x", "x");
  EXPECT_FALSE(Sync(round)) << "symlinks are not followed";
  auto large = Round(2);
  AddFile(large, "a", std::string((1u << 20) + 1, 'x'));
  const Status refused = Sync(large);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace farlet::guest
