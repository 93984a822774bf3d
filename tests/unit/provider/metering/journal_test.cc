#include "provider/metering/journal.h"

#include "runtime/base/file.h"
#include "tests/unit/provider/metering/run_builder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <vector>

namespace farlet::metering::testing {
namespace {

using nlohmann::json;

class JournalTest : public ::testing::Test {
 protected:
  struct Content {
    json snapshot;
    std::vector<json> entries;
  };

  Content Load(Journal& journal, bool refuse_snapshot = false) {
    Content content;
    EXPECT_TRUE(journal.Load(
        [&](const json& snapshot) -> Status {
          if (refuse_snapshot) {
            return InvalidArgument("refused");
          }
          content.snapshot = snapshot;
          return {};
        },
        [&](const json& entry) -> Status {
          if (entry.is_discarded()) {
            return InvalidArgument("no JSON");
          }
          content.entries.push_back(entry);
          return {};
        },
        kStart));
    return content;
  }

  // A ledger with a snapshot and the entries 1, 2, 3.
  void Fill() {
    Journal journal(folder_.path());
    Load(journal);
    ASSERT_TRUE(journal.Compact({{"state", "s"}}));
    for (int i = 1; i <= 3; ++i) {
      ASSERT_TRUE(journal.Append(json{{"n", i}}));
    }
  }

  size_t CorruptFiles() const {
    size_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      count += file.path().string().find(".corrupt-") != std::string::npos ? 1 : 0;
    }
    return count;
  }

  std::string Read(const std::string& name) const {
    return ReadFile(folder_.path() / name).value_or("");
  }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << text;
  }

  TempFolder folder_;
};

TEST_F(JournalTest, ContinuesWhatWasThere) {
  Fill();
  Journal journal(folder_.path());
  const Content content = Load(journal);
  EXPECT_EQ(content.snapshot["state"], "s");
  EXPECT_EQ(content.entries, (std::vector<json>{{{"n", 1}}, {{"n", 2}}, {{"n", 3}}}));
  ASSERT_TRUE(journal.Compact({{"state", "t"}}));
  EXPECT_EQ(Read("journal-2"), "");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "journal-1"));
  EXPECT_EQ(journal.bytes(), 0u);
  EXPECT_EQ(CorruptFiles(), 0u);
}

TEST_F(JournalTest, NothingIsAppendedBeforeItIsOpen) {
  Journal journal(folder_.path());
  EXPECT_EQ(journal.Append(json::object()).error().code, Code::kFailedPrecondition);
  EXPECT_FALSE(journal.DuplicateForSync().valid());
}

// A process that is killed, or a machine that loses power, at any byte of the journal.
TEST_F(JournalTest, EveryPrefixIsRead) {
  Fill();
  const std::string whole = Read("journal-1");
  for (size_t bytes = 0; bytes <= whole.size(); ++bytes) {
    Write("journal-1", whole.substr(0, bytes));
    Journal journal(folder_.path());
    const Content content = Load(journal);
    const auto lines = std::count(whole.begin(), whole.begin() + static_cast<long>(bytes), '\n');
    EXPECT_EQ(content.entries.size(), static_cast<size_t>(lines)) << bytes;
  }
  EXPECT_EQ(CorruptFiles(), 0u);
}

// Between the new journal and the snapshot that names it.
TEST_F(JournalTest, KilledWhileItIsCompacted) {
  Fill();
  Write("journal-2", "");
  Journal journal(folder_.path());
  const Content content = Load(journal);
  EXPECT_EQ(content.entries.size(), 3u);
  ASSERT_TRUE(journal.Compact({{"state", "t"}}));
  // And after it, before the old journal was removed.
  Write("journal-1", "{\"n\":9}\n");
  Journal next(folder_.path());
  EXPECT_TRUE(Load(next).entries.empty());
}

TEST_F(JournalTest, CorruptSnapshotsAreKeptAsideAndJournalsAreRead) {
  for (const char* text : {"", "{", "[]", "{\"version\":2,\"journal\":1}",
                           "{\"version\":1,\"journal\":\"x\"}", "\xff\xfe"}) {
    Fill();
    Write("ledger.json", text);
    Journal journal(folder_.path());
    const Content content = Load(journal);
    EXPECT_TRUE(content.snapshot.is_null());
    EXPECT_EQ(content.entries.size(), 3u) << text;
    EXPECT_EQ(CorruptFiles(), 1u);
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "ledger.json"));
    for (const auto& file : std::filesystem::directory_iterator(folder_.path())) {
      std::filesystem::remove(file.path());
    }
  }
}

TEST_F(JournalTest, ASnapshotThatIsRefusedIsKeptAside) {
  Fill();
  Journal journal(folder_.path());
  EXPECT_EQ(Load(journal, true).entries.size(), 3u);
  EXPECT_EQ(CorruptFiles(), 1u);
}

TEST_F(JournalTest, CorruptLinesCostNoOthers) {
  Fill();
  Write("journal-1", "{\"n\":1}\n\x01garbage{\n{\"n\":3}\n");
  Journal journal(folder_.path());
  EXPECT_EQ(Load(journal).entries, (std::vector<json>{{{"n", 1}}, {{"n", 3}}}));
  EXPECT_EQ(CorruptFiles(), 1u);
  ASSERT_TRUE(journal.Compact({{"state", "t"}}));
  EXPECT_EQ(CorruptFiles(), 1u);
}

TEST_F(JournalTest, AFolderThatCannotBeIsAnError) {
  Write("file", "");
  Journal journal(folder_.path() / "file" / "metering");
  const auto ignore = [](const json&) -> Status { return {}; };
  EXPECT_FALSE(journal.Load(ignore, ignore, kStart));
  EXPECT_FALSE(journal.Compact(json::object()));
}

}  // namespace
}  // namespace farlet::metering::testing
