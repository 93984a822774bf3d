// Whatever an API server (or somebody in its place) sends as a review, the answer is one line of
// text or a review of the same UID; a patch fits the pod, and the patched pod needs no other.
//
// The first byte says how the rest is taken: as a whole review or as the pod of a good one, and
// under which options.

#include "provider/webhook/review.h"
#include "runtime/base/base64.h"
#include "tests/fuzz/fuzz.h"

#include <nlohmann/json.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace farlet::webhook {
namespace {

using Json = nlohmann::json;
using fargate::Profile;

constexpr unsigned kPodOnly = 1;
constexpr unsigned kWarn = 2;
constexpr unsigned kDoNotCount = 4;
constexpr unsigned kNoRuntimeClass = 8;

const fargate::ProfileSet& Profiles() {
  static const fargate::ProfileSet profiles({
      std::make_shared<const Profile>(Profile{
          .meta = {.name = "a-labels"},
          .selectors = {{.object_namespace = "d?v*", .labels = {{"a*", "b?c"}}}},
          .allow = {.capabilities = {"SYS_PTRACE"}, .host_paths = {"/data"}, .ulimits = {"core"}}}),
      std::make_shared<const Profile>(
          Profile{.meta = {.name = "b-all"}, .selectors = {{.object_namespace = "dev"}}}),
  });
  return profiles;
}

ReviewOptions OptionsOf(unsigned mode) {
  ReviewOptions options;
  options.admission.count_provisioned = (mode & kDoNotCount) == 0;
  if ((mode & kWarn) != 0) {
    options.admission.validation = fargate::Validation::kWarn;
  }
  if ((mode & kNoRuntimeClass) != 0) {
    options.admission.runtime_class.clear();
  }
  return options;
}

std::string ReviewOf(const Json& pod) {
  return Json{{"apiVersion", "admission.k8s.io/v1"},
              {"kind", "AdmissionReview"},
              {"request",
               {{"uid", "u"},
                {"operation", "CREATE"},
                {"namespace", "dev"},
                {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
                {"object", pod}}}}
      .dump();
}

// The pod as it is after the answer's patch. Checks the answer on the way.
std::optional<Json> CheckAnswer(const ReviewAnswer& answer, const Json& review) {
  if (answer.verdict == Verdict::kMalformed) {
    FUZZ_CHECK(answer.status == 400);
    FUZZ_CHECK(answer.body.starts_with("malformed admission review: "));
    return std::nullopt;
  }
  FUZZ_CHECK(answer.status == 200);
  const Json body = Json::parse(answer.body);
  const Json& response = body.at("response");
  FUZZ_CHECK(response.at("uid") == review.at("request").at("uid"));
  const bool allowed = response.at("allowed").get<bool>();
  FUZZ_CHECK(allowed == (answer.verdict != Verdict::kRefused));
  FUZZ_CHECK(allowed || !response.at("status").at("message").get<std::string>().empty());
  FUZZ_CHECK(allowed || !response.contains("patch"));
  if (!response.contains("patch")) {
    return std::nullopt;
  }
  FUZZ_CHECK(answer.verdict == Verdict::kAdmitted && !answer.profile.empty());
  const auto patch = DecodeBase64(response.at("patch").get<std::string>());
  FUZZ_CHECK(patch);
  return review.at("request").at("object").patch(Json::parse(*patch));
}

void Check(std::string_view body, const ReviewOptions& options) {
  const ReviewAnswer first = Review(body, Profiles(), options);
  const Json review = Json::parse(body, nullptr, false);
  const std::optional<Json> patched = CheckAnswer(first, review);
  if (!patched) {
    return;
  }
  Json again = review;
  again["request"]["object"] = *patched;
  const ReviewAnswer second = Review(again.dump(), Profiles(), options);
  FUZZ_CHECK(second.verdict == Verdict::kAdmitted);
  FUZZ_CHECK(second.profile == first.profile);
  FUZZ_CHECK(!CheckAnswer(second, again));
}

}  // namespace
}  // namespace farlet::webhook

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace farlet::webhook;
  if (size == 0) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const unsigned mode = data[0];
  if ((mode & kPodOnly) == 0) {
    Check(text, OptionsOf(mode));
    return 0;
  }
  const Json pod = Json::parse(text, nullptr, false);
  if (!pod.is_discarded()) {
    Check(ReviewOf(pod), OptionsOf(mode));
  }
  return 0;
}
