#include "runtime/base/clock.h"
#include "runtime/base/time_format.h"
#include "tests/fakes/apiserver/fake_api_server_core.h"
#include "tests/fakes/apiserver/fake_api_server_core_state.h"
#include "tests/fakes/apiserver/fake_api_server_patch.h"

#include <algorithm>

// What the API server does with a request, resource by resource.
namespace farlet::testing {
namespace {

constexpr int64_t kDefaultGrace = 30;

ApiReply Refuse(int code, const std::string& reason, const std::string& message) {
  return {.status = code, .body = ApiStatus(code, reason, message)};
}

std::string Quoted(const ApiPath& path) {
  return path.resource + " \"" + path.name + "\"";
}

ApiReply NotFoundReply(const ApiPath& path) {
  return Refuse(404, "NotFound", Quoted(path) + " not found");
}

ApiReply TooLargeVersion(const std::string& wanted, int64_t current) {
  ApiReply reply = Refuse(
      504, "Timeout",
      "Timeout: Too large resource version: " + wanted + ", current: " + std::to_string(current));
  reply.body["details"]["causes"] = Json::array(
      {Json{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}});
  return reply;
}

std::string Now(std::chrono::seconds later = std::chrono::seconds(0)) {
  return FormatRfc3339(RealClock().WallNow() + later);
}

std::string Text(const Json& object, const char* pointer) {
  const Json value = object.value(Json::json_pointer(pointer), Json());
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool HasStatusSubresource(const std::string& resource) {
  return resource == "pods" || resource == "nodes" || resource == "certificatesigningrequests";
}

// The parts that a request to this (sub)resource may not change.
void KeepForeignParts(const ApiPath& path, const Json& before, Json& after) {
  const auto keep = [&](const char* member) {
    if (before.contains(member)) {
      after[member] = before[member];
    } else {
      after.erase(member);
    }
  };
  if (path.subresource == "status" || path.subresource == "approval") {
    keep("spec");
  } else if (path.subresource.empty() && HasStatusSubresource(path.resource)) {
    keep("status");
  }
  for (const char* fixed : {"uid", "creationTimestamp", "name", "namespace"}) {
    if (before["metadata"].contains(fixed)) {
      after["metadata"][fixed] = before["metadata"][fixed];
    }
  }
}

void PreparePod(Json& pod) {
  pod["status"] = Json{{"phase", "Pending"}, {"qosClass", "BestEffort"}};
  if (!pod["spec"].contains("terminationGracePeriodSeconds")) {
    pod["spec"]["terminationGracePeriodSeconds"] = kDefaultGrace;
  }
  if (!pod["spec"].contains("restartPolicy")) {
    pod["spec"]["restartPolicy"] = "Always";
  }
}

std::string CollectionName(const ApiPath& path) {
  return path.subresource.empty() ? path.resource : path.resource + "/" + path.subresource;
}

}  // namespace

std::optional<ApiFault> FakeApiCore::State::TakeFault(const ApiCall& call) {
  const auto fits = [&](const ApiFault& fault) {
    return fault.times != 0 && (fault.verb.empty() || fault.verb == call.verb) &&
           call.path.find(fault.path) != std::string::npos;
  };
  const auto found = std::find_if(faults.begin(), faults.end(), fits);
  if (found == faults.end()) {
    return std::nullopt;
  }
  if (found->times > 0) {
    --found->times;
  }
  return *found;
}

void FakeApiCore::State::Note(const ApiCall& call, const std::string& verb) {
  ++counts[verb + " " + CollectionName(ParseApiPath(call.path))];
  calls.push_back(call);
  changed.notify_all();
}

ApiReply FakeApiCore::Serve(const ApiCall& call) {
  std::function<std::string(const Json&)> signer;
  ApiReply reply;
  {
    const std::lock_guard lock(state_->mutex);
    const ApiPath path = ParseApiPath(call.path);
    state_->Note(call, call.verb == "GET" && path.name.empty() ? "LIST" : call.verb);
    const std::optional<ApiFault> fault = state_->TakeFault(call);
    if (!fault || fault->after_effect || (fault->status == 0 && !fault->drop)) {
      reply = state_->Dispatch(call);
    }
    if (fault) {
      if (fault->status != 0) {
        reply = Refuse(fault->status, fault->reason, fault->message);
        reply.retry_after = fault->retry_after;
      }
      reply.delay = fault->delay;
      reply.drop = fault->drop;
    }
    if (call.verb == "POST" && path.resource == "certificatesigningrequests") {
      signer = state_->signer;
    }
  }
  if (signer && reply.status == 201) {
    const std::string chain = signer(reply.body);
    if (!chain.empty()) {
      Json csr = reply.body;
      csr["status"]["conditions"] = Json::array({Json{{"type", "Approved"}, {"status", "True"}}});
      csr["status"]["certificate"] = chain;
      Put(call.path + "/" + Text(csr, "/metadata/name"), csr);
    }
  }
  return reply;
}

ApiReply FakeApiCore::State::Dispatch(const ApiCall& call) {
  const ApiPath path = ParseApiPath(call.path);
  if (path.resource.empty()) {
    return Refuse(404, "NotFound", "the server could not find the requested resource");
  }
  if (call.verb == "POST") {
    if (path.resource == "tokenreviews" || path.resource == "subjectaccessreviews") {
      return Review(call.body);
    }
    return path.subresource.empty() ? Create(path, call.body) : CreateSub(path, call.body);
  }
  if (path.name.empty()) {
    return call.verb == "GET" ? List(path, call.query)
                              : Refuse(405, "MethodNotAllowed", "method not allowed");
  }
  const auto known = objects.find(path.Key());
  if (known == objects.end()) {
    return NotFoundReply(path);
  }
  if (call.verb == "GET") {
    return {.body = known->second};
  }
  if (call.verb == "PUT") {
    return Replace(path, call.body);
  }
  if (call.verb == "PATCH") {
    return Patch(path, call);
  }
  if (call.verb == "DELETE") {
    return Delete(path, call.body);
  }
  return Refuse(405, "MethodNotAllowed", "method not allowed");
}

ApiReply FakeApiCore::State::List(const ApiPath& path, const ApiQuery& query) {
  const auto value = [&](const char* name) {
    const auto found = query.find(name);
    return found != query.end() ? found->second : std::string();
  };
  const std::string wanted = value("resourceVersion");
  if (!wanted.empty() && std::strtoll(wanted.c_str(), nullptr, 10) > version) {
    return TooLargeVersion(wanted, version);
  }
  // A continue token is "<version>:<how many were sent>".
  size_t start = 0;
  int64_t list_version = version;
  if (const std::string token = value("continue"); !token.empty()) {
    list_version = std::strtoll(token.c_str(), nullptr, 10);
    start = std::strtoull(token.c_str() + token.find(':') + 1, nullptr, 10);
    if (list_version < compacted) {
      return Refuse(410, "Expired",
                    "The provided continue parameter is too old to display a consistent list");
    }
  }
  const std::string limit = value("limit");
  size_t page = limit.empty() ? 0 : std::strtoull(limit.c_str(), nullptr, 10);
  if (max_page > 0 && page > 0) {
    page = std::min(page, max_page);
  }
  const std::vector<const Json*> selected = Select(path, query);
  Json items = Json::array();
  size_t next = std::min(start, selected.size());
  for (; next < selected.size() && (page == 0 || items.size() < page); ++next) {
    Json item = *selected[next];
    item.erase("kind");
    item.erase("apiVersion");
    items.push_back(std::move(item));
  }
  Json meta{{"resourceVersion", std::to_string(list_version)}};
  if (next < selected.size()) {
    meta["continue"] = std::to_string(list_version) + ":" + std::to_string(next);
    meta["remainingItemCount"] = selected.size() - next;
  }
  return {.body = Json{{"kind", KindOf(path.resource) + "List"},
                       {"apiVersion", path.group_version},
                       {"metadata", std::move(meta)},
                       {"items", std::move(items)}}};
}

ApiReply FakeApiCore::State::Create(const ApiPath& path, Json object) {
  if (!object.is_object()) {
    return Refuse(400, "BadRequest", "the body is not an object");
  }
  Json& meta = object["metadata"];
  if (!meta.contains("name") && meta.contains("generateName")) {
    meta["name"] = meta["generateName"].get<std::string>() + std::to_string(next_uid);
  }
  ApiPath where = path;
  where.name = Text(object, "/metadata/name");
  if (where.name.empty()) {
    return Refuse(422, "Invalid",
                  "metadata.name: Required value: name or generateName is required");
  }
  if (meta.contains("resourceVersion") && meta["resourceVersion"] != "") {
    return Refuse(400, "BadRequest", "resourceVersion should not be set on objects to be created");
  }
  if (terminating.contains(path.object_namespace)) {
    ApiReply reply = Refuse(403, "Forbidden",
                            Quoted(where) +
                                " is forbidden: unable to create new content in "
                                "namespace " +
                                path.object_namespace + " because it is being terminated");
    reply.body["details"]["causes"] = Json::array({Json{{"reason", "NamespaceTerminating"}}});
    return reply;
  }
  if (objects.contains(where.Key())) {
    return Refuse(409, "AlreadyExists", Quoted(where) + " already exists");
  }
  if (!path.object_namespace.empty()) {
    meta["namespace"] = path.object_namespace;
  }
  for (const char* owned : {"uid", "creationTimestamp", "deletionTimestamp"}) {
    meta.erase(owned);
  }
  object["kind"] = KindOf(path.resource);
  object["apiVersion"] = path.group_version;
  if (path.resource == "pods") {
    PreparePod(object);
  } else if (path.resource == "certificatesigningrequests") {
    object["status"] = Json::object();
  }
  return {.status = 201, .body = Commit(where, std::move(object))};
}

ApiReply FakeApiCore::State::CreateSub(const ApiPath& path, const Json& body) {
  const auto known = objects.find(path.Key());
  if (known == objects.end()) {
    return NotFoundReply(path);
  }
  if (path.subresource == "binding") {
    Json pod = known->second;
    pod["spec"]["nodeName"] = Text(body, "/target/name");
    Commit(path, std::move(pod));
    return {.status = 201, .body = ApiStatus(201, "", "")};
  }
  if (path.subresource == "eviction") {
    return DeletePod(path, known->second, body.value("deleteOptions", Json::object()));
  }
  if (path.subresource == "token") {
    const auto lifetime = body.value("/spec/expirationSeconds"_json_pointer, int64_t{3600});
    Json request = body;
    request["status"] = Json{{"token", "token-" + path.object_namespace + "-" + path.name + "-" +
                                           std::to_string(next_uid++)},
                             {"expirationTimestamp", Now(std::chrono::seconds(lifetime))}};
    return {.status = 201, .body = std::move(request)};
  }
  return Refuse(404, "NotFound", "the server could not find the requested resource");
}

ApiReply FakeApiCore::State::Replace(const ApiPath& path, Json object) {
  const Json before = objects.at(path.Key());
  if (!object.is_object() || Text(object, "/metadata/name") != path.name) {
    return Refuse(400, "BadRequest", "the name of the object does not match the name on the URL");
  }
  return Update(path, before, std::move(object));
}

ApiReply FakeApiCore::State::Patch(const ApiPath& path, const ApiCall& call) {
  const Json before = objects.at(path.Key());
  Json after = before;
  if (!ApplyPatch(call.content_type, call.body, after)) {
    return Refuse(415, "UnsupportedMediaType", "the patch could not be applied");
  }
  return Update(path, before, std::move(after));
}

ApiReply FakeApiCore::State::Update(const ApiPath& path, const Json& before, Json after) {
  const std::string wanted_version = Text(after, "/metadata/resourceVersion");
  if (!wanted_version.empty() && wanted_version != Text(before, "/metadata/resourceVersion")) {
    return Refuse(409, "Conflict",
                  "Operation cannot be fulfilled on " + Quoted(path) +
                      ": the object has been modified; please apply your changes to the latest "
                      "version and try again");
  }
  const std::string uid = Text(after, "/metadata/uid");
  if (!uid.empty() && uid != Text(before, "/metadata/uid")) {
    return Refuse(422, "Invalid",
                  Quoted(path) + " is invalid: metadata.uid: Invalid value: \"" + uid +
                      "\": field is immutable");
  }
  KeepForeignParts(path, before, after);
  const Json& meta = after["metadata"];
  const bool last_finalizer = meta.contains("deletionTimestamp") &&
                              meta.value("finalizers", Json::array()).empty() &&
                              !before["metadata"].value("finalizers", Json::array()).empty();
  const bool no_grace = meta.value("deletionGracePeriodSeconds", int64_t{0}) == 0;
  Json stored = Commit(path, std::move(after));
  if (last_finalizer && no_grace) {
    Erase(path);
  }
  return {.body = std::move(stored)};
}

ApiReply FakeApiCore::State::Delete(const ApiPath& path, const Json& options) {
  Json object = objects.at(path.Key());
  const std::pair<std::string, std::string> preconditions[] = {
      {"uid", "UID"}, {"resourceVersion", "ResourceVersion"}};
  for (const auto& [field, shown] : preconditions) {
    const std::string wanted =
        options.is_object() ? Text(options, ("/preconditions/" + field).c_str()) : "";
    const std::string present = Text(object, ("/metadata/" + field).c_str());
    if (!wanted.empty() && wanted != present) {
      return Refuse(409, "Conflict",
                    "Precondition failed: " + shown + " in precondition: " + wanted + ", " + shown +
                        " in object meta: " + present);
    }
  }
  if (path.resource == "pods") {
    return DeletePod(path, std::move(object), options);
  }
  if (!object["metadata"].value("finalizers", Json::array()).empty()) {
    object["metadata"]["deletionTimestamp"] = Now();
    return {.body = Commit(path, std::move(object))};
  }
  Erase(path);
  return {.body = std::move(object)};
}

ApiReply FakeApiCore::State::DeletePod(const ApiPath& path, Json pod, const Json& options) {
  int64_t grace = pod["spec"].value("terminationGracePeriodSeconds", kDefaultGrace);
  if (options.is_object() && options.contains("gracePeriodSeconds")) {
    grace = options["gracePeriodSeconds"].get<int64_t>();
  }
  const std::string phase = Text(pod, "/status/phase");
  if (Text(pod, "/spec/nodeName").empty() || phase == "Succeeded" || phase == "Failed") {
    grace = 0;
  }
  Json& meta = pod["metadata"];
  const bool finalizers = !meta.value("finalizers", Json::array()).empty();
  if (grace == 0 && !finalizers) {
    Erase(path);
    return {.body = std::move(pod)};
  }
  const bool sooner = !meta.contains("deletionTimestamp") ||
                      grace < meta.value("deletionGracePeriodSeconds", int64_t{0});
  if (sooner) {
    meta["deletionTimestamp"] = Now(std::chrono::seconds(grace));
    meta["deletionGracePeriodSeconds"] = grace;
  }
  return {.body = Commit(path, std::move(pod))};
}

ApiReply FakeApiCore::State::Review(Json review) {
  review["status"] = reviewer ? reviewer(review) : Json::object();
  return {.status = 201, .body = std::move(review)};
}

}  // namespace farlet::testing
