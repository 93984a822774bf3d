#include "tests/unit/runtime/shim/shim_fixture.h"

#include <gmock/gmock.h>

namespace farlet::shim {
namespace {

using ::testing::ElementsAre;

class EventsTest : public ::testing::Test {
 protected:
  EventsTest() {
    std::string name = (std::filesystem::temp_directory_path() / "events-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }

  ~EventsTest() override { std::filesystem::remove_all(folder_); }

  std::shared_ptr<EventPublisher> Publisher(size_t max_queued = 1024) {
    return std::make_shared<EventPublisher>(
        io_, clock_,
        EventPublisher::Options{.address = "unix://" + (folder_ / "events").string(),
                                .containerd_namespace = "k8s.io",
                                .max_queued = max_queued,
                                .first_retry = std::chrono::milliseconds(1)});
  }

  static void Publish(EventPublisher& publisher, const std::string& id) {
    containerd::events::TaskOOM event;
    event.set_container_id(id);
    publisher.Publish("/tasks/oom", "containerd.events.TaskOOM", event);
  }

  bool Flush(EventPublisher& publisher, std::chrono::milliseconds patience) {
    bool flushed = false;
    publisher.Flush(patience, [&] {
      flushed = true;
      io_.stop();
    });
    io_.restart();
    io_.run_for(std::chrono::seconds(10));
    return flushed;
  }

  std::filesystem::path folder_;
  RealClock clock_;
  boost::asio::io_context io_;
};

TEST_F(EventsTest, ArriveInOrder) {
  FakeEvents server(folder_ / "events");
  const auto publisher = Publisher();
  for (const char* id : {"a", "b", "c"}) {
    Publish(*publisher, id);
  }
  EXPECT_TRUE(Flush(*publisher, std::chrono::seconds(5)));
  EXPECT_THAT(server.Now(), ElementsAre("oom a", "oom b", "oom c"));
}

TEST_F(EventsTest, WaitForContainerdToComeBack) {
  const auto publisher = Publisher();
  Publish(*publisher, "a");
  Publish(*publisher, "b");
  io_.run_for(std::chrono::milliseconds(20));
  {
    FakeEvents server(folder_ / "events");
    EXPECT_TRUE(Flush(*publisher, std::chrono::seconds(5)));
    EXPECT_THAT(server.Now(), ElementsAre("oom a", "oom b"));
  }
  std::filesystem::remove(folder_ / "events");
  Publish(*publisher, "c");
  io_.restart();
  io_.run_for(std::chrono::milliseconds(20));
  FakeEvents server(folder_ / "events");
  EXPECT_TRUE(Flush(*publisher, std::chrono::seconds(5)));
  EXPECT_THAT(server.Now(), ElementsAre("oom c"));
}

TEST_F(EventsTest, TheQueueIsBoundedAndFlushGivesUp) {
  const auto publisher = Publisher(/*max_queued=*/3);
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    Publish(*publisher, id);
  }
  EXPECT_TRUE(Flush(*publisher, std::chrono::milliseconds(10)));  // nobody is there
  FakeEvents server(folder_ / "events");
  EXPECT_TRUE(Flush(*publisher, std::chrono::seconds(5)));
  EXPECT_THAT(server.Now(), ElementsAre("oom a", "oom d", "oom e"));
}

TEST_F(EventsTest, WithoutAnAddressThereAreNone) {
  const auto publisher = std::make_shared<EventPublisher>(io_, clock_, EventPublisher::Options{});
  Publish(*publisher, "a");
  EXPECT_TRUE(Flush(*publisher, std::chrono::seconds(5)));
}

}  // namespace
}  // namespace farlet::shim
