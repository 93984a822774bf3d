#pragma once

#include "tests/fakes/apiserver/fake_api_server_core.h"
#include "tests/fakes/apiserver/fake_api_server_path.h"

#include <set>

namespace farlet::testing {

// The inside of FakeApiCore. Everything needs `mutex` unless it says otherwise.
struct FakeApiCore::State {
  struct Change {
    int64_t version = 0;
    std::string key;
    Json before;  // null: added
    Json after;   // null: deleted
  };

  struct Watcher {
    ApiPath path;
    ApiQuery query;
    WatchSink sink;
    WatchEnd end;
    int64_t version = 0;  // of the last change that it was offered
  };

  // fake_api_server_core.cc: the store and its watches.
  ApiReply Stored(int status, const Json& object) const {
    return {.status = status, .body = object};
  }

  // Writes and tells the watches. An equal object is not written.
  Json Commit(const ApiPath& path, Json object);
  void Erase(const ApiPath& path);
  void Offer(Watcher& watcher, const Change& change);
  void OfferMissed(Watcher& watcher);
  bool Selects(const Watcher& watcher, const Json& object) const;
  std::vector<const Json*> Select(const ApiPath& path, const ApiQuery& query) const;

  // fake_api_server_rules.cc: what a request does.
  ApiReply Dispatch(const ApiCall& call);
  ApiReply List(const ApiPath& path, const ApiQuery& query);
  ApiReply Create(const ApiPath& path, Json object);
  ApiReply CreateSub(const ApiPath& path, const Json& body);
  ApiReply Replace(const ApiPath& path, Json object);
  ApiReply Patch(const ApiPath& path, const ApiCall& call);
  ApiReply Update(const ApiPath& path, const Json& before, Json after);
  ApiReply Delete(const ApiPath& path, const Json& options);
  ApiReply DeletePod(const ApiPath& path, Json pod, const Json& options);
  ApiReply Review(Json review);

  // The first fault that fits, one of its times used up.
  std::optional<ApiFault> TakeFault(const ApiCall& call);
  void Note(const ApiCall& call, const std::string& verb);

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  int64_t version = 1;
  int64_t compacted = 0;
  int64_t next_uid = 1;
  bool silent = false;
  size_t max_page = 0;
  std::map<std::string, Json> objects;  // by ApiPath::Key()
  std::vector<Change> history;
  std::map<uint64_t, Watcher> watchers;
  uint64_t next_watcher = 1;
  std::vector<ApiFault> faults;
  std::set<std::string> terminating;
  std::map<std::string, int> counts;  // "VERB resource"
  std::vector<ApiCall> calls;
  std::function<std::string(const Json&)> signer;
  std::function<Json(const Json&)> reviewer;
};

int64_t VersionOf(const Json& object);

}  // namespace farlet::testing
