#include "provider/metering/journal.h"

#include "runtime/base/file.h"
#include "runtime/base/json_text.h"
#include "runtime/base/log.h"
#include "runtime/base/undo.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

namespace farlet::metering {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kVersion = 1;
constexpr size_t kMaxFile = size_t{256} << 20;
constexpr std::string_view kJournalPrefix = "journal-";

fs::path SnapshotPath(const fs::path& folder) {
  return folder / "ledger.json";
}

// Out of the way, but not away.
void SetAside(const fs::path& path, WallTime now, std::string_view why) {
  const fs::path aside = path.string() + fmt::format(".corrupt-{}", now.time_since_epoch().count());
  std::error_code error;
  fs::rename(path, aside, error);
  log::Error("cannot read a file of the metering ledger, it is kept aside",
             {{"file", path.string()},
              {"as", error ? "(not renamed: " + error.message() + ")" : aside.string()},
              {"error", why}});
}

// The numbers of the journals that are there.
std::set<uint64_t> JournalsIn(const fs::path& folder) {
  std::set<uint64_t> numbers;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder, error)) {
    const std::string name = file.path().filename().string();
    if (!name.starts_with(kJournalPrefix)) {
      continue;
    }
    uint64_t number = 0;
    const char* begin = name.data() + kJournalPrefix.size();
    const char* end = name.data() + name.size();
    const auto [rest, failed] = std::from_chars(begin, end, number);
    if (failed == std::errc() && rest == end) {
      numbers.insert(number);
    }
  }
  return numbers;
}

Result<uint64_t> JournalOf(const Json& snapshot) {
  if (!snapshot.is_object() || snapshot.value("version", Json()) != kVersion) {
    return InvalidArgument(fmt::format("it is no ledger of version {}", kVersion));
  }
  const auto journal = snapshot.find("journal");
  if (journal == snapshot.end() || !journal->is_number_unsigned()) {
    return InvalidArgument("journal: must be a number");
  }
  return journal->get<uint64_t>();
}

}  // namespace

Journal::Journal(fs::path folder) : folder_(std::move(folder)) {}

fs::path Journal::PathOf(uint64_t number) const {
  return folder_ / fmt::format("{}{}", kJournalPrefix, number);
}

Result<Json> Journal::ReadSnapshot() const {
  FARLET_ASSIGN(const std::string text, ReadFile(SnapshotPath(folder_), kMaxFile));
  Json snapshot = Json::parse(text, nullptr, false);
  FARLET_TRY(JournalOf(snapshot));
  return snapshot;
}

// False when something in it could not be understood.
bool Journal::ReadJournal(uint64_t number, const Take& entry) const {
  const fs::path path = PathOf(number);
  const auto text = ReadFile(path, kMaxFile);
  if (!text) {
    if (text.error().code != Code::kNotFound) {
      log::Error("cannot read the metering journal", {{"error", text.error()}});
    }
    return text.error().code == Code::kNotFound;
  }
  std::string_view rest = *text;
  bool good = true;
  for (int line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      log::Warning("the last entry of the metering journal was not written to its end",
                   {{"file", path.string()}, {"line", line}});
      return good;
    }
    const Json json = Json::parse(rest.substr(0, end), nullptr, false);
    if (const Status taken = entry(json); !taken) {
      log::Error("cannot understand an entry of the metering journal",
                 {{"file", path.string()}, {"line", line}, {"error", taken.error()}});
      good = false;
    }
    rest.remove_prefix(end + 1);
  }
  return good;
}

Status Journal::Load(const Take& snapshot, const Take& entry, WallTime now) {
  FARLET_TRY(MakeDirectories(folder_, 0750));
  std::set<uint64_t> numbers = JournalsIn(folder_);
  number_ = numbers.empty() ? 0 : *numbers.rbegin();
  const auto json = ReadSnapshot();
  const Status taken = json ? snapshot(*json) : Status(json.error());
  if (taken) {
    const uint64_t named = *JournalOf(*json);
    number_ = std::max(number_, named);
    numbers = {named};  // those before are in the snapshot, those after were never begun
  } else if (taken.error().code != Code::kNotFound) {
    SetAside(SnapshotPath(folder_), now, taken.error().message);
  }
  for (const uint64_t number : numbers) {
    if (!ReadJournal(number, entry)) {
      SetAside(PathOf(number), now, "some of its entries cannot be understood");
    }
  }
  return {};
}

Status Journal::Compact(Json state) {
  const uint64_t next = number_ + 1;
  const fs::path path = PathOf(next);
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return ErrnoError(errno, "create " + path.string());
  }
  Undo remove([&] { ::unlink(path.c_str()); });
  state["version"] = kVersion;
  state["journal"] = next;
  FARLET_TRY(WriteFileAtomic(SnapshotPath(folder_), JsonText(state), 0600));
  remove.Dismiss();
  fd_ = std::move(fd);
  number_ = next;
  bytes_ = 0;
  for (const uint64_t number : JournalsIn(folder_)) {
    std::error_code ignored;  // it is read no more, and the next time tries again
    if (number != next) {
      fs::remove(PathOf(number), ignored);
    }
  }
  return {};
}

Status Journal::Append(const Json& entry) {
  if (!fd_.valid()) {
    return MakeError(Code::kFailedPrecondition, "the metering journal is not open");
  }
  const std::string line = JsonText(entry) + "\n";
  ssize_t written = 0;
  do {
    written = ::write(fd_.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) {
    bytes_ += line.size();
    return {};
  }
  Error error = ErrnoError(written < 0 ? errno : ENOSPC, "write " + PathOf(number_).string());
  // Half a line would spoil the next one.
  if (written > 0 && ::ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0) {
    fd_.Close();
  }
  return error;
}

UniqueFd Journal::DuplicateForSync() const {
  return UniqueFd(fd_.valid() ? ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

}  // namespace farlet::metering
