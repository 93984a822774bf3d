#include "runtime/guest/events.h"

#include "runtime/base/fd.h"
#include "runtime/ttrpc/types.h"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

namespace farlet::guest {
namespace {

using Ids = std::vector<std::string>;

TEST(OomQueue, TakesWhatWaits) {
  OomQueue queue;
  queue.Push("a");
  queue.Push("b");
  std::optional<Result<Ids>> taken;
  queue.Take({}, [&](Result<Ids> ids) { taken = std::move(ids); });
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, (Ids{"a", "b"}));
  taken.reset();
  queue.Take({}, [&](Result<Ids> ids) { taken = std::move(ids); });
  EXPECT_FALSE(taken);
  queue.Push("c");
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ(**taken, Ids{"c"});
}

TEST(OomQueue, SecondTakerEndsTheFirst) {
  OomQueue queue;
  std::optional<Result<Ids>> first;
  std::optional<Result<Ids>> second;
  queue.Take({}, [&](Result<Ids> ids) { first = std::move(ids); });
  queue.Take({}, [&](Result<Ids> ids) { second = std::move(ids); });
  ASSERT_TRUE(first);
  ASSERT_FALSE(*first);
  EXPECT_EQ(first->error().code, Code::kCancelled);
  queue.Push("a");
  ASSERT_TRUE(second && *second);
}

TEST(OomQueue, KeepsTheNewest) {
  OomQueue queue;
  for (int count = 0; count < 300; ++count) {
    queue.Push(std::to_string(count));
  }
  std::optional<Result<Ids>> taken;
  queue.Take({}, [&](Result<Ids> ids) { taken = std::move(ids); });
  ASSERT_TRUE(taken && *taken);
  EXPECT_EQ((*taken)->size(), 256u);
  EXPECT_EQ((*taken)->front(), "44");
  EXPECT_EQ((*taken)->back(), "299");
}

TEST(FileWatch, TellsChangesUntilRemoved) {
  std::string path = testing::TempDir() + "watched-XXXXXX";
  const UniqueFd file(::mkstemp(path.data()));
  ASSERT_TRUE(file.valid());
  boost::asio::io_context context;
  FileWatch watch(context);
  ASSERT_TRUE(watch.Start());
  int changes = 0;
  const auto id = watch.Add(path, [&] { ++changes; });
  ASSERT_TRUE(id) << id.error().message;
  ASSERT_EQ(::write(file.get(), "x", 1), 1);
  context.run_one();
  EXPECT_EQ(changes, 1);
  watch.Remove(*id);
  ASSERT_EQ(::write(file.get(), "x", 1), 1);
  context.poll();
  EXPECT_EQ(changes, 1);
  EXPECT_FALSE(watch.Add(path + "-missing", [] {}));
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace farlet::guest
