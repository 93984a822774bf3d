#include "provider/server/api_review.h"

#include <utility>

namespace farlet::server {
namespace {

using kube::Json;

constexpr kube::CallOptions kOptions{.deadline = milliseconds(10'000)};

// A member of an object, or null.
const Json& Member(const Json& object, const char* name) {
  static const Json kNull;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? kNull : *found;
}

std::string Text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::vector<std::string> Texts(const Json& values) {
  std::vector<std::string> texts;
  if (values.is_array()) {
    for (const Json& value : values) {
      if (value.is_string()) {
        texts.push_back(value.get<std::string>());
      }
    }
  }
  return texts;
}

Result<std::optional<User>> ParseTokenReview(const Json& review) {
  const Json& status = Member(review, "status");
  if (!status.is_object()) {
    return Internal("token review: the answer has no status");
  }
  if (Member(status, "authenticated") != true) {
    return std::optional<User>();
  }
  const Json& user = Member(status, "user");
  User parsed{
      .name = Text(Member(user, "username")),
      .uid = Text(Member(user, "uid")),
      .groups = Texts(Member(user, "groups")),
  };
  if (parsed.name.empty()) {
    return Internal("token review: the answer has no status.user.username");
  }
  const Json& extra = Member(user, "extra");
  if (extra.is_object()) {
    for (const auto& [name, values] : extra.items()) {
      parsed.extra[name] = Texts(values);
    }
  }
  return std::optional<User>(std::move(parsed));
}

Result<bool> ParseAccessReview(const Json& review) {
  const Json& allowed = Member(Member(review, "status"), "allowed");
  if (!allowed.is_boolean()) {
    return Internal("subject access review: the answer has no status.allowed");
  }
  return allowed.get<bool>();
}

Json AccessReview(const User& user,
                  const std::string& verb,
                  const std::string& subresource,
                  const std::string& node_name) {
  Json spec{{"user", user.name},
            {"groups", user.groups},
            {"resourceAttributes",
             {{"verb", verb},
              {"version", "v1"},
              {"resource", "nodes"},
              {"subresource", subresource},
              {"name", node_name}}}};
  if (!user.uid.empty()) {
    spec["uid"] = user.uid;
  }
  if (!user.extra.empty()) {
    spec["extra"] = user.extra;
  }
  return {{"apiVersion", "authorization.k8s.io/v1"},
          {"kind", "SubjectAccessReview"},
          {"spec", std::move(spec)}};
}

}  // namespace

TokenReview MakeTokenReview(kube::Client& client) {
  return [&client](const std::string& token, Callback<std::optional<User>> done) {
    const Json review{{"apiVersion", "authentication.k8s.io/v1"},
                      {"kind", "TokenReview"},
                      {"spec", {{"token", token}}}};
    client.Create(
        "/apis/authentication.k8s.io/v1/tokenreviews", review, kOptions,
        [done = std::move(done)](const Result<Json>& answer) {
          done(answer ? ParseTokenReview(*answer) : Result<std::optional<User>>(answer.error()));
        });
  };
}

SubjectAccessReview MakeSubjectAccessReview(kube::Client& client, std::string node_name) {
  return [&client, node_name = std::move(node_name)](const User& user, const std::string& verb,
                                                     const std::string& subresource,
                                                     Callback<bool> done) {
    client.Create("/apis/authorization.k8s.io/v1/subjectaccessreviews",
                  AccessReview(user, verb, subresource, node_name), kOptions,
                  [done = std::move(done)](const Result<Json>& answer) {
                    done(answer ? ParseAccessReview(*answer) : Result<bool>(answer.error()));
                  });
  };
}

}  // namespace farlet::server
