#include "provider/webhook/review.h"

#include "kube/api/field_reader.h"
#include "runtime/base/base64.h"
#include "runtime/base/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace farlet::webhook {
namespace {

using Json = nlohmann::json;
using fargate::Decision;

constexpr char kApiVersion[] = "admission.k8s.io/v1";
constexpr char kKind[] = "AdmissionReview";
constexpr size_t kMaxUid = 256;

ReviewAnswer Malformed(std::string problem) {
  std::string body = "malformed admission review: " + problem;
  return {.status = 400,
          .body = std::move(body),
          .verdict = Verdict::kMalformed,
          .message = std::move(problem)};
}

// The fields of `request` that are looked at.
struct ReviewRequest {
  std::string uid;
  std::string operation;
  std::string object_namespace;
  std::string name;
  std::string group;
  std::string resource;
  std::string sub_resource;
  const Json* object = nullptr;

  bool IsPodCreation() const {
    return operation == "CREATE" && group.empty() && resource == "pods" && sub_resource.empty();
  }
};

Result<ReviewRequest> ReadRequest(const Json& review) {
  kube::FieldErrors errors;
  const kube::FieldReader root(review, "", errors);
  std::string api_version;
  std::string kind;
  root.Read("apiVersion", api_version);
  root.Read("kind", kind);
  if (api_version != kApiVersion || kind != kKind) {
    root.Fail("kind", fmt::format("must be {} of {}", kKind, kApiVersion));
  }
  const kube::FieldReader in = root.Object("request");
  ReviewRequest request;
  in.Read("uid", request.uid);
  in.Read("operation", request.operation);
  in.Read("namespace", request.object_namespace);
  in.Read("name", request.name);
  const kube::FieldReader resource = in.Object("resource");
  resource.Read("group", request.group);
  resource.Read("resource", request.resource);
  in.Read("subResource", request.sub_resource);
  request.object = in.Find("object");
  if (request.uid.empty() || request.uid.size() > kMaxUid) {
    in.Fail("uid", "must have 1 to 256 characters");
  }
  if (request.IsPodCreation() && request.object == nullptr) {
    in.Fail("object", "is missing");
  }
  if (errors.first()) {
    return *errors.first();
  }
  return request;
}

std::string PodName(const ReviewRequest& request) {
  std::string name = request.name;
  const Json::json_pointer generated("/metadata/generateName");
  if (name.empty() && request.object != nullptr && request.object->contains(generated) &&
      (*request.object)[generated].is_string()) {
    name = (*request.object)[generated].get<std::string>() + "*";
  }
  return request.object_namespace + "/" + name;
}

// What stands in `response` for a decision.
Json ResponseOf(const Decision& decision) {
  Json response{{"allowed", decision.kind != Decision::Kind::kRefused}};
  if (decision.kind == Decision::Kind::kRefused) {
    response["status"] = {{"status", "Failure"},
                          {"code", 403},
                          {"reason", "Forbidden"},
                          {"message", decision.message}};
  }
  if (!decision.warnings.empty()) {
    response["warnings"] = decision.warnings;
  }
  if (!decision.patch.empty()) {
    response["patchType"] = "JSONPatch";
    response["patch"] = EncodeBase64(decision.patch);
  }
  if (!decision.profile.empty()) {
    response["auditAnnotations"] = {{"fargate-profile", decision.profile}};
  }
  return response;
}

Verdict VerdictOf(Decision::Kind kind) {
  switch (kind) {
    case Decision::Kind::kAdmitted:
      return Verdict::kAdmitted;
    case Decision::Kind::kRefused:
      return Verdict::kRefused;
    case Decision::Kind::kUntouched:
      break;
  }
  return Verdict::kUntouched;
}

// A pod that cannot be read is refused like one that cannot run.
Decision DecideOn(const ReviewRequest& request,
                  const fargate::ProfileSet& profiles,
                  const ReviewOptions& options) {
  auto result =
      fargate::Decide(*request.object, request.object_namespace, profiles, options.admission);
  Decision decision =
      result ? *std::move(result)
             : Decision{.kind = Decision::Kind::kRefused, .message = result.error().message};
  if (decision.kind == Decision::Kind::kRefused &&
      options.never_refused.contains(request.object_namespace)) {
    return {.warnings = {"this pod does not run on Fargate: " + decision.message}};
  }
  return decision;
}

}  // namespace

ReviewAnswer Review(std::string_view body,
                    const fargate::ProfileSet& profiles,
                    const ReviewOptions& options) {
  if (body.size() > kMaxReview) {
    return Malformed("too large");
  }
  const Json review = Json::parse(body, nullptr, false);
  if (review.is_discarded()) {
    return Malformed("not JSON");
  }
  const Result<ReviewRequest> request = ReadRequest(review);
  if (!request) {
    return Malformed(request.error().message);
  }
  const Decision decision =
      request->IsPodCreation() ? DecideOn(*request, profiles, options) : Decision();
  Json response = ResponseOf(decision);
  response["uid"] = request->uid;
  return {.body = JsonText({{"apiVersion", kApiVersion}, {"kind", kKind}, {"response", response}}),
          .verdict = VerdictOf(decision.kind),
          .pod = PodName(*request),
          .profile = decision.profile,
          .message = decision.message};
}

}  // namespace farlet::webhook
