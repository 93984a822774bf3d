#pragma once

#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace farlet::kube {

using Json = nlohmann::json;
using Query = std::map<std::string, std::string>;

// The media types of PATCH bodies (kubernetes API concepts, "patch").
enum class PatchType { kStrategicMerge, kMerge, kJson };

struct CallOptions {
  // The whole call with all its retries; what has not ended by then is kDeadlineExceeded.
  milliseconds deadline{30'000};
  // Retry what retrying can help: no connection, 429 and 503 with Retry-After, 5xx and 504 (a
  // repeated POST answers 409 AlreadyExists, which the caller has to expect).
  bool retry = true;
};

// How long a refusal (403) may only mean that the API server's Node authorizer has not yet heard,
// from a watch of its own, of the pod that the node asks for. Until then it is no news for a user.
inline constexpr seconds kAuthorizerLag{2};

struct DeleteOptions {
  std::optional<int64_t> grace_period_seconds;
  // Empty: none. 409 when the object is another one, or has changed since.
  std::string precondition_uid;
  std::string precondition_resource_version;
};

// A running watch; destroying it ends the stream, after which no handler runs any more. Not to be
// destroyed from one of its own handlers.
class WatchStream {
 public:
  virtual ~WatchStream() = default;
};

struct WatchHandlers {
  // One watch event: {"type": …, "object": …}. ERROR events are reported through on_end instead.
  std::function<void(Json event)> on_event;
  // Exactly once: ok when the server closed the stream in the normal way; kOutOfRange when the
  // resourceVersion is gone (410); kDeadlineExceeded when nothing was heard for `silence`.
  std::function<void(Status end)> on_end;
};

struct WatchOptions {
  Query query;  // without "watch=true", which is added
  // The longest time without a byte (bookmarks come about every minute) before the connection is
  // taken for dead.
  milliseconds silence{std::chrono::minutes(3)};
};

// The Kubernetes REST API, asynchronous: callbacks run exactly once on the client's few I/O
// threads, must not block, and must not destroy the client. Paths are absolute and already escaped
// ("/api/v1/namespaces/default/pods/web-0"). All errors carry what was attempted ("PATCH
// /api/v1/…/status"), and, when the server answered, its HTTP status, Status.reason and
// Status.message. Requests are limited by a token bucket (client-side QPS/burst). Thread safe.
// Destroying the client cancels what is in flight (kCancelled) and waits for the callbacks.
class Client {
 public:
  virtual ~Client() = default;

  virtual void Get(const std::string& path,
                   const Query& query,
                   const CallOptions& options,
                   Callback<Json> done) = 0;
  virtual void Create(const std::string& path,
                      const Json& object,
                      const CallOptions& options,
                      Callback<Json> done) = 0;
  // PUT; kAborted on a conflicting resourceVersion.
  virtual void Replace(const std::string& path,
                       const Json& object,
                       const CallOptions& options,
                       Callback<Json> done) = 0;
  virtual void Patch(const std::string& path,
                     PatchType type,
                     const Json& patch,
                     const CallOptions& options,
                     Callback<Json> done) = 0;
  virtual void Delete(const std::string& path,
                      const DeleteOptions& what,
                      const CallOptions& options,
                      Callback<Json> done) = 0;
  virtual std::unique_ptr<WatchStream> Watch(const std::string& path,
                                             const WatchOptions& options,
                                             WatchHandlers handlers) = 0;
};

// Waits for an asynchronous call; for start-up code, tests and tools, never on an I/O thread.
template <class T>
Result<T> Await(const std::function<void(Callback<T>)>& start);

// "/api/v1/namespaces/NS/RESOURCE/NAME" with every segment percent-encoded; namespace or name
// empty: left out. `group_version`: "v1" or "coordination.k8s.io/v1".
std::string ResourcePath(std::string_view group_version,
                         std::string_view resource,
                         std::string_view object_namespace,
                         std::string_view name,
                         std::string_view subresource = {});

}  // namespace farlet::kube

#include "kube/client/await.h"  // IWYU pragma: export
