#include "provider/server/authorization.h"

#include "runtime/base/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace farlet::server {
namespace {

bool IsUnder(std::string_view path, std::string_view root) {
  return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/');
}

struct Mapping {
  std::string_view root;
  std::string_view subresource;
};

// Tried before the general subresource, which is enough as well.
constexpr std::array kFineGrained{
    Mapping{"/pods", "pods"},
    Mapping{"/healthz", "healthz"},
    Mapping{"/configz", "configz"},
    Mapping{"/runningpods", "pods"},
};

constexpr std::array kGeneral{
    Mapping{"/stats", "stats"},     Mapping{"/metrics", "metrics"},
    Mapping{"/logs", "log"},        Mapping{"/checkpoint", "checkpoint"},
    Mapping{"/statusz", "statusz"}, Mapping{"/flagz", "configz"},
};

template <class Table>
std::string_view Lookup(const Table& table, std::string_view path) {
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Mapping& entry) { return IsUnder(path, entry.root); });
  return found == table.end() ? std::string_view() : found->subresource;
}

// Every part with its length, so that no two users share a key.
void AppendPart(std::string& key, std::string_view part) {
  key += fmt::format("{}:{}", part.size(), part);
}

std::string CacheKey(const User& user, std::string_view verb, std::string_view subresource) {
  std::string key;
  AppendPart(key, verb);
  AppendPart(key, subresource);
  AppendPart(key, user.name);
  AppendPart(key, user.uid);
  for (const std::string& group : user.groups) {
    AppendPart(key, group);
  }
  for (const auto& [name, values] : user.extra) {
    key += '=';
    AppendPart(key, name);
    for (const std::string& value : values) {
      AppendPart(key, value);
    }
  }
  return key;
}

}  // namespace

struct Authorizer::Shared {
  AuthorizationOptions options;
  SubjectAccessReview review;
  ExpiringCache<bool> cache;
};

// One request's way through the subresources that would allow it.
struct Authorizer::Question {
  std::shared_ptr<Shared> shared;
  User user;
  std::string verb;
  std::vector<std::string> subresources;
  size_t next = 0;
  std::function<void(AuthorizationVerdict)> done;

  AuthorizationVerdict Denied() const {
    return {false, 403,
            fmt::format("Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])\n",
                        user.name, verb, fmt::join(subresources, " "))};
  }

  AuthorizationVerdict Failed(std::string_view subresource) const {
    return {false, 500,
            fmt::format("Authorization error (user={}, verb={}, resource=nodes, subresource={})",
                        user.name, verb, subresource)};
  }
};

std::string ApiVerb(std::string_view method) {
  for (const auto& [name, verb] : {std::pair<std::string_view, const char*>{"GET", "get"},
                                   {"POST", "create"},
                                   {"PUT", "update"},
                                   {"PATCH", "patch"},
                                   {"DELETE", "delete"}}) {
    if (method == name) {
      return verb;
    }
  }
  return {};
}

std::vector<std::string> Subresources(std::string_view path) {
  std::vector<std::string> subresources;
  if (const std::string_view fine = Lookup(kFineGrained, path); !fine.empty()) {
    subresources.emplace_back(fine);
  }
  const std::string_view general = Lookup(kGeneral, path);
  subresources.emplace_back(general.empty() ? "proxy" : general);
  return subresources;
}

Authorizer::Authorizer(AuthorizationOptions options, SubjectAccessReview review, const Clock& clock)
    : shared_(new Shared{options, std::move(review), {clock, options.capacity}}) {}

void Authorizer::Authorize(const User& user,
                           std::string_view method,
                           std::string_view path,
                           std::function<void(AuthorizationVerdict)> done) const {
  auto question = std::make_shared<Question>();
  question->shared = shared_;
  question->user = user;
  question->verb = ApiVerb(method);
  question->subresources = Subresources(path);
  question->done = std::move(done);
  Ask(question);
}

void Authorizer::Ask(const std::shared_ptr<Question>& question) {
  Question& q = *question;
  while (q.next < q.subresources.size() && q.shared->review) {
    const std::string subresource = q.subresources[q.next++];
    const std::string key = CacheKey(q.user, q.verb, subresource);
    const auto known = q.shared->cache.Get(key);
    if (!known) {
      q.shared->review(q.user, q.verb, subresource,
                       [question, key, subresource](const Result<bool>& allowed) {
                         OnReview(question, key, subresource, allowed);
                       });
      return;
    }
    if (*known) {
      q.done({.allowed = true});
      return;
    }
  }
  q.done(q.Denied());
}

void Authorizer::OnReview(const std::shared_ptr<Question>& question,
                          const std::string& key,
                          const std::string& subresource,
                          const Result<bool>& allowed) {
  Question& q = *question;
  if (!allowed) {
    log::Warning("authorization failed", {{"user", q.user.name}, {"error", allowed.error()}});
    q.done(q.Failed(subresource));
    return;
  }
  const AuthorizationOptions& options = q.shared->options;
  q.shared->cache.Put(key, *allowed, *allowed ? options.allowed_lifetime : options.denied_lifetime);
  if (*allowed) {
    q.done({.allowed = true});
  } else {
    Ask(question);
  }
}

}  // namespace farlet::server
