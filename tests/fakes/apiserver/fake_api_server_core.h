#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace farlet::testing {

using Json = nlohmann::json;
using ApiQuery = std::map<std::string, std::string>;

struct ApiCall {
  std::string verb;  // HTTP method
  std::string path;  // unescaped
  ApiQuery query;
  std::string content_type;
  Json body;
};

struct ApiReply {
  int status = 200;
  Json body;
  std::optional<std::chrono::seconds> retry_after;
  // Of a fault: wait before answering; close the connection instead of answering.
  std::chrono::milliseconds delay{0};
  bool drop = false;
};

// An answer that the test wants instead of the right one.
struct ApiFault {
  std::string verb;  // "GET", "POST", …, "WATCH"; empty: any
  std::string path;  // a part of the path; empty: any
  int times = 1;     // -1: until ClearFaults()
  // 0: the right answer, after `delay`.
  int status = 0;
  std::string reason;
  std::string message;
  std::optional<std::chrono::seconds> retry_after;
  std::chrono::milliseconds delay{0};
  bool drop = false;          // the connection dies without an answer
  bool after_effect = false;  // the request takes effect first (an answer that got lost)
};

// The part of a Kubernetes API server that needs no network: a store of objects with
// resourceVersions and watches, and the rules of the resources that farlet uses. Any resource can
// be stored; pods (graceful deletion, binding), nodes, leases, events, configmaps, secrets, service
// account tokens, certificate signing requests and the two review resources behave as they do in a
// real server. Thread safe.
class FakeApiCore {
 public:
  // One watch event as it goes over the wire; called in order, with the store locked: it only hands
  // on. `last` after the final event, when the server ends the watch.
  using WatchSink = std::function<void(const Json& event)>;
  using WatchEnd = std::function<void()>;

  FakeApiCore();
  ~FakeApiCore();

  // --- What a server does ---

  ApiReply Serve(const ApiCall& call);
  // Answers an error, or status 200 and the id of a watch that runs until Unwatch(). `end` is
  // called, store locked, when the server ends it. No sink runs after Unwatch() has returned.
  ApiReply Watch(const ApiCall& call, WatchSink sink, WatchEnd end, uint64_t& id);
  void Unwatch(uint64_t id);
  // True when a watch with this path and query is asked for.
  static bool IsWatch(const ApiCall& call);

  // --- What a test does: objects ---

  // Creates or overwrites, whatever the rules say, and returns what is stored. `path` is that of
  // the object ("/api/v1/namespaces/default/pods/web"); metadata that is missing is filled in.
  Json Put(const std::string& path, Json object);
  std::optional<Json> Find(const std::string& path) const;
  // All objects of a collection ("/api/v1/pods", "/api/v1/namespaces/x/events").
  std::vector<Json> All(const std::string& path) const;
  // Removes at once, without grace.
  void Remove(const std::string& path);
  // Waits until `condition` holds for the object (null: it is not there); false after `timeout`.
  bool WaitFor(const std::string& path,
               const std::function<bool(const Json& object)>& condition,
               std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

  // --- What a test does: faults ---

  void InjectFault(ApiFault fault);
  void ClearFaults();
  // Forgets all history: a watch from an older version, and a page of an older list, gets 410.
  void Compact();
  // Ends all watches in the normal way.
  void EndWatches();
  // While silent, watches send nothing; what was missed comes afterwards.
  void SetSilent(bool silent);
  void SendBookmarks();
  // Creating in this namespace is refused from now on.
  void TerminateNamespace(const std::string& name);
  // Pages of lists are at most this long even when no limit is asked for; 0: no limit.
  void SetMaxPage(size_t max_page);

  // --- What a test does: actors ---

  // Called for every new CSR, with the store unlocked; a PEM chain approves and signs it.
  void SetSigner(std::function<std::string(const Json& csr)> signer);
  // The `status` of a TokenReview or SubjectAccessReview for a given object.
  void SetReviewer(std::function<Json(const Json& review)> reviewer);

  // --- What a test asks ---

  // Requests so far: Requests("PATCH", "pods/status"), Requests("LIST", "pods"); also "WATCH".
  int Requests(const std::string& verb, const std::string& resource) const;
  int TotalRequests() const;
  int OpenWatches() const;
  // Waits until so many requests of this kind have come.
  bool WaitForRequests(const std::string& verb,
                       const std::string& resource,
                       int count,
                       std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;
  // All requests in order.
  std::vector<ApiCall> History() const;
  int64_t resource_version() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// {"kind": "Status", …} as the API server writes it.
Json ApiStatus(int code, const std::string& reason, const std::string& message);

}  // namespace farlet::testing
