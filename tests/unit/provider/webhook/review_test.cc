#include "provider/webhook/review.h"

#include "runtime/base/base64.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <string>

namespace farlet::webhook {
namespace {

using nlohmann::json;

fargate::ProfileSet Profiles() {
  fargate::Profile profile;
  profile.meta.name = "fp";
  profile.selectors = {{.object_namespace = "dev"}, {.object_namespace = "kube-system"}};
  return fargate::ProfileSet({std::make_shared<const fargate::Profile>(profile)});
}

// As an API server sends it when a ReplicaSet makes a pod.
json Request(const json& spec, const std::string& object_namespace = "dev") {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "705ab4f5"},
            {"kind", {{"group", ""}, {"version", "v1"}, {"kind", "Pod"}}},
            {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
            {"namespace", object_namespace},
            {"operation", "CREATE"},
            {"dryRun", false},
            {"oldObject", nullptr},
            {"object",
             {{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", {{"generateName", "web-"}, {"creationTimestamp", nullptr}}},
              {"spec", spec}}}}}};
}

const json kPlain{{"containers", {{{"name", "c"}}}}};
const json kHostNetwork{{"hostNetwork", true}, {"containers", {{{"name", "c"}}}}};

ReviewAnswer Ask(const json& review) {
  return Review(review.dump(), Profiles(), {});
}

json ResponseOf(const ReviewAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json body = json::parse(answer.body);
  EXPECT_EQ(body["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(body["kind"], "AdmissionReview");
  EXPECT_EQ(body["response"]["uid"], "705ab4f5");
  return body["response"];
}

TEST(ReviewTest, PatchesAPodThatAProfileMatches) {
  const ReviewAnswer answer = Ask(Request(kPlain));
  EXPECT_EQ(answer.verdict, Verdict::kAdmitted);
  EXPECT_EQ(answer.pod, "dev/web-*");
  EXPECT_EQ(answer.profile, "fp");
  const json response = ResponseOf(answer);
  EXPECT_EQ(response["allowed"], true);
  EXPECT_EQ(response["patchType"], "JSONPatch");
  EXPECT_EQ(response["auditAnnotations"], (json{{"fargate-profile", "fp"}}));
  const json patched = Request(kPlain)["request"]["object"].patch(
      json::parse(*DecodeBase64(response["patch"].get<std::string>())));
  EXPECT_EQ(patched["metadata"]["labels"]["eks.amazonaws.com/fargate-profile"], "fp");
}

TEST(ReviewTest, RefusesWithTheMessage) {
  const ReviewAnswer answer = Ask(Request(kHostNetwork));
  EXPECT_EQ(answer.verdict, Verdict::kRefused);
  const json response = ResponseOf(answer);
  EXPECT_EQ(response["allowed"], false);
  EXPECT_EQ(response["status"]["code"], 403);
  EXPECT_EQ(response["status"]["message"],
            "Pod not supported on Fargate: fields not supported: HostNetwork");
  EXPECT_FALSE(response.contains("patch"));
}

TEST(ReviewTest, LeavesOthersAlone) {
  const json response = ResponseOf(Ask(Request(kHostNetwork, "prod")));
  EXPECT_EQ(response, (json{{"uid", "705ab4f5"}, {"allowed", true}}));
}

TEST(ReviewTest, NeverRefusesInKubeSystem) {
  const ReviewAnswer answer = Ask(Request(kHostNetwork, "kube-system"));
  EXPECT_EQ(answer.verdict, Verdict::kUntouched);
  const json response = ResponseOf(answer);
  EXPECT_EQ(response["allowed"], true);
  EXPECT_FALSE(response.contains("patch"));
  EXPECT_EQ(response["warnings"],
            (json{"this pod does not run on Fargate: Pod not supported on Fargate: fields not "
                  "supported: HostNetwork"}));
  EXPECT_EQ(Ask(Request(kPlain, "kube-system")).verdict, Verdict::kAdmitted);
}

TEST(ReviewTest, AllowsWhatIsNoCreationOfAPod) {
  for (const auto& [key, value] : {std::pair{"operation", json("UPDATE")},
                                   {"operation", json("DELETE")},
                                   {"subResource", json("binding")},
                                   {"resource", json{{"group", "apps"}, {"resource", "pods"}}},
                                   {"resource", json{{"resource", "services"}}}}) {
    json review = Request(kHostNetwork);
    review["request"][key] = value;
    EXPECT_EQ(ResponseOf(Ask(review)), (json{{"uid", "705ab4f5"}, {"allowed", true}})) << key;
  }
}

TEST(ReviewTest, APodThatCannotBeReadIsRefusedByField) {
  const json response = ResponseOf(Ask(Request({{"containers", "x"}})));
  EXPECT_EQ(response["allowed"], false);
  EXPECT_EQ(response["status"]["message"], "spec.containers: must be a list");
}

TEST(ReviewTest, MalformedReviewsAre400) {
  const auto problem = [](const json& review) {
    const ReviewAnswer answer = Ask(review);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.verdict, Verdict::kMalformed);
    return answer.body;
  };
  json review = Request(kPlain);
  review["apiVersion"] = "admission.k8s.io/v1beta1";
  EXPECT_EQ(problem(review),
            "malformed admission review: kind: must be AdmissionReview of admission.k8s.io/v1");
  review = Request(kPlain);
  review["request"].erase("uid");
  EXPECT_EQ(problem(review),
            "malformed admission review: request.uid: must have 1 to 256 characters");
  review = Request(kPlain);
  review["request"]["object"] = nullptr;
  EXPECT_EQ(problem(review), "malformed admission review: request.object: is missing");
  review["request"] = 3;
  EXPECT_EQ(problem(review), "malformed admission review: request: must be an object");
  EXPECT_EQ(problem(json::array()), "malformed admission review: the object must be an object");
  for (const std::string& text : {std::string("{"), std::string(kMaxReview + 1, ' ')}) {
    EXPECT_EQ(Review(text, Profiles(), {}).status, 400);
  }
}

// Nothing on the way may use up the stack.
TEST(ReviewTest, DeepNestingIsBorne) {
  json review = Request(kPlain);
  std::string text = review.dump();
  const std::string marker = "\"generateName\":\"web-\"";
  const size_t at = text.find(marker);
  ASSERT_NE(at, std::string::npos);
  const std::string deep(1'000'000, '[');
  text.insert(at, "\"annotations\":" + deep + std::string(deep.size(), ']') + ",");
  const ReviewAnswer answer = Review(text, Profiles(), {});
  EXPECT_EQ(ResponseOf(answer)["allowed"], false);
}

TEST(ReviewTest, TextThatIsNoUtf8DoesNoHarm) {
  json review = Request(kPlain);
  std::string text = review.dump();
  const size_t at = text.find("705ab4f5");
  text.replace(at, 2, "\xff\xfe");
  EXPECT_EQ(Review(text, Profiles(), {}).status, 400);
}

}  // namespace
}  // namespace farlet::webhook
